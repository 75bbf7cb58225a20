"""From speech to probabilities: files, live sound, PyTorch and ONNX runtimes, explanations."""

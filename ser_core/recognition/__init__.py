"""Recognition of emotions in files and live audio: recognizer, PyTorch and ONNX runtimes, explanations."""

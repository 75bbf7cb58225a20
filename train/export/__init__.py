"""From a run to a checkpoint, and from a checkpoint to ONNX."""

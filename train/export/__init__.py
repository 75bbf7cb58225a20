"""Exports runs as checkpoints, and checkpoints as ONNX."""

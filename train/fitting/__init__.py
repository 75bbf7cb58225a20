"""Fitting one model: the training loop, heads, probes, distillation."""

"""Training of one model: training loop, heads, probe, distillation, fine-tuning."""

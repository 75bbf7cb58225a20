"""Experiments of several runs: cross-validation, and the effect of each augmentation technique."""

"""Experiments of several runs: cross-validation, the effect of each augmentation."""

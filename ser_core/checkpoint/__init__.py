"""Checkpoints: reading and writing them, listing the shipped ones, calibration."""

"""Architectures (one per file, listed in `registry`), their input features, and published weights."""

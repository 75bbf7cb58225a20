"""The architectures (a file each, listed in `registry`), their features, and published weights."""

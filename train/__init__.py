"""Training: corpora, splits that don't leak, fitting, honest evaluation."""

"""Training and evaluation: corpora, speaker-independent splits, fitting, reports, export."""

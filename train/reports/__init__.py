"""Metrics of predictions, with tables, figures and cards."""

"""Measuring predictions, and the tables, figures and cards made of them."""

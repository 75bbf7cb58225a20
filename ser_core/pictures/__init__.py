"""Figures for files and pages."""

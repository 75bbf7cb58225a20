"""The commands of `ser-studio` and `python -m ser_core`."""

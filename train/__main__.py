"""Entry point of `python -m train`."""

import os
import sys

# Use huge pages: a training step of a large network spends much of its time clearing new memory pages. torch
# reads this variable once, before its first tensor. It has an effect on Linux alone.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

try:
    from train.cli import app
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] in ("ser_core", "train"):
        raise
    sys.exit(f"error: training needs {error.name}, which is not installed: run `make setup-train`")

if __name__ == "__main__":
    app()

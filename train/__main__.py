"""Entry point of `python -m train`."""

import os

# Use huge pages: a training step of a large network spends much of its time clearing new memory pages. torch
# reads this variable once, before its first tensor. It has an effect on Linux alone.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from train.cli import app

if __name__ == "__main__":
    app()

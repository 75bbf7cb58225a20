"""`python -m train`."""

import os

# Huge pages: a large network's step spends much of its time on clearing fresh memory page by page. torch asks
# once, before its first tensor; this is for Linux, elsewhere nothing changes.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from train.cli import app

if __name__ == "__main__":
    app()

"""`python -m train`."""

import os

# Huge pages: clearing the fresh memory of each step page by page takes up to half of its time.
# torch asks once, before its first tensor; this is for Linux, elsewhere nothing changes.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from train.cli import app

if __name__ == "__main__":
    app()

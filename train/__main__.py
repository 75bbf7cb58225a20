"""`python -m train`."""

import os
import sys

# Huge pages: a large network's step spends much of its time on clearing fresh memory page by page. torch asks
# once, before its first tensor; this is for Linux, elsewhere nothing changes.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

try:
    from train.cli import app
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] in ("ser_core", "train"):
        raise
    sys.exit(f"error: training needs {error.name}, which is not installed: run `make setup-train`")

if __name__ == "__main__":
    app()

"""`python -m ser_ui`: the page."""

import os

if "SPACES_ZERO_GPU" in os.environ:
    import spaces  # noqa: F401 - before torch, which it changes
from ser_ui.launch import main

if __name__ == "__main__":
    main()

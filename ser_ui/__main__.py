"""`python -m ser_ui`: the page. What must be done before torch is imported is done here."""

import os

if "SPACES_ZERO_GPU" in os.environ:
    import spaces  # noqa: F401 - before torch, which it changes
from ser_core.commands import doctor

doctor.spare_torchaudio()  # before whatever imports it: nobody runs `make` on a Space

from ser_ui.launch import main

if __name__ == "__main__":
    main()

"""Hugging Face's ZeroGPU: a Space without a GPU of its own, to which one is lent for the length of a call.

`spaces.GPU` runs a function in a process that has the GPU; what goes in and comes out is copied. So whole
recordings go there, decoded; live sound, files by the folder and explanations stay on the CPU.
"""

import os
from collections.abc import Callable
from typing import Any

from ser_core.analysis import Analysis
from ser_core.audio.waveform import Waveform
from ser_core.recognition.recognizer import Progress, Recognizer

DURATION_S = 60  # for which the GPU is asked; an hour of sound takes less


def is_here() -> bool:
    """Whether this is such a Space. `spaces` must then be imported before torch."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")


class Borrower(Recognizer):
    """`own`, but with recordings analysed by `lent`: the same model, on the device that is lent."""

    def __init__(self, own: Recognizer, lent: Recognizer) -> None:
        import spaces  # there on every Gradio Space

        super().__init__(own.runtime, own.read)
        gpu: Callable[..., Any] = spaces.GPU(duration=DURATION_S)
        self._analyze = gpu(lent.analyze)

    def analyze(self, waveform: Waveform, source: str = "", progress: Progress | None = None) -> Analysis:
        """As the recognizer's; `progress` hears nothing, as the work is done in another process."""
        found: Analysis = self._analyze(waveform, source)
        return found

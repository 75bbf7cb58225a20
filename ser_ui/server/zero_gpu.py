"""Hugging Face's ZeroGPU: a Space without a GPU of its own, which borrows one for the duration of a call.

`spaces.GPU` runs a function in another process that has the GPU; arguments and results are copied. Only whole
decoded recordings are analysed there. Live audio, several files, recordings whose channels are heard apart,
and explanations stay on the CPU.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from ser_core.analysis import Analysis
from ser_core.audio.waveform import Waveform
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import ONE_VOICE, Progress, VoiceOptions

DURATION_S = 60  # requested from ZeroGPU; an hour of audio takes less


def is_here() -> bool:
    """Whether this is a ZeroGPU Space. If so, `spaces` must be imported before torch."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")


class ZeroGpuRecognizer(Recognizer):
    """Like `own`, but analyses recordings by `lent`: the same model, on the device that ZeroGPU lends."""

    def __init__(self, own: Recognizer, lent: Recognizer) -> None:
        import spaces  # installed on every Gradio Space

        super().__init__(own.runtime, own.read)
        gpu: Callable[..., Any] = spaces.GPU(duration=DURATION_S)
        self._analyze = gpu(lent.analyze)

    def analyze(
        self,
        waveform: Waveform,
        source: str = "",
        progress: Progress | None = None,
        warnings: Sequence[str] = (),
        options: VoiceOptions = ONE_VOICE,
    ) -> Analysis:
        """As `Recognizer.analyze`; `progress` is not called, because another process does the work."""
        analysis: Analysis = self._analyze(waveform, source, None, warnings, options)
        return analysis

"""A clip's speech, cut as the recogniser cuts it."""

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.decode import decode
from ser_core.audio.vad import segment
from ser_core.audio.waveform import SAMPLE_RATE

MAX_CLIP_S = 10.0  # the recogniser's longest segment
FULL_SCALE = np.float32(np.iinfo(np.int16).max)


def speech_of(content: bytes) -> NDArray[np.int16]:
    """From the first to the last speech of the recording whose file holds `content`, at most MAX_CLIP_S.

    `(n_samples,)` at 16 kHz, brought to full scale, so that quiet clips keep their resolution. A recording
    without recognised speech is kept whole: its label says that there is some.
    Raises AudioError for one that cannot be read.
    """
    waveform = decode(content)
    spans = segment(waveform)
    samples = waveform.samples[spans[0].start : spans[-1].end] if spans else waveform.samples
    samples = samples[: int(MAX_CLIP_S * SAMPLE_RATE)]
    peak = float(np.abs(samples).max(initial=1e-6))
    return np.round(samples / peak * FULL_SCALE).astype(np.int16)

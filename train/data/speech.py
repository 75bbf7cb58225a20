"""Extracts the speech of a clip, with the recogniser's decoder and voice activity detection."""

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.decode import decode
from ser_core.audio.vad import segment
from ser_core.audio.waveform import SAMPLE_RATE

MAX_CLIP_S = 10.0  # the recogniser's longest segment
FULL_SCALE = np.float32(np.iinfo(np.int16).max)


def speech_of(content: bytes) -> NDArray[np.int16]:
    """The recording in the file with the bytes `content`, from its first to its last speech.

    `(n_samples,)` at 16 kHz, at most MAX_CLIP_S long, normalised to full scale so that quiet clips keep their
    resolution. A recording without detected speech is kept whole, because its label implies speech.
    Raises AudioError for a recording that cannot be read.
    """
    waveform = decode(content)
    spans = segment(waveform)
    samples = waveform.samples[spans[0].start : spans[-1].end] if spans else waveform.samples
    samples = samples[: int(MAX_CLIP_S * SAMPLE_RATE)]
    peak = float(np.abs(samples).max(initial=1e-6))
    return np.round(samples / peak * FULL_SCALE).astype(np.int16)

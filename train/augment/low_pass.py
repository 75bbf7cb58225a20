"""Low-pass filter: recordings that were kept at a lower sampling rate, or coded with fewer bits."""

from dataclasses import dataclass

import numpy as np

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.bandwidth import through_rate
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range


@dataclass(frozen=True)
class LowPass(WaveformTechnique):
    """Resampling to twice the cut-off frequency and back, which removes everything above it.

    Corpora end at different frequencies. With this technique the upper end of the band says nothing about the
    corpus of a clip, so a network cannot tell corpora, and the emotions they lack, by it.
    """

    cutoff_hz: Range = (4000.0, 8000.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("cutoff_hz", self.cutoff_hz, 2000, SAMPLE_RATE / 2)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The cut-off frequency in Hz."""
        return {"cutoff_hz": int(rng.uniform(*self.cutoff_hz))}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` without what lies above the cut-off frequency, of the same length."""
        return through_rate(samples, 2 * draw["cutoff_hz"])

"""Resampling that changes tempo and pitch together, like another speaker."""

from dataclasses import dataclass

import numpy as np
import soxr

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range


@dataclass(frozen=True)
class Speed(WaveformTechnique):
    """Speed perturbation (Ko et al. 2015, "Audio augmentation for speech recognition").

    The clip is resampled: pitch, formants and tempo change together.
    """

    rate: Range = (0.85, 1.18)  # above 1 is faster and higher

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("rate", self.rate, 0.5, 2)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The rate."""
        return {"rate": rng.uniform(*self.rate)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` at the rate, `len(samples) / rate` long."""
        return np.asarray(soxr.resample(samples, SAMPLE_RATE * draw["rate"], SAMPLE_RATE), np.float32)

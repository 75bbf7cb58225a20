"""Gain with hard clipping, like a recording with too high an input level."""

from dataclasses import dataclass

import numpy as np
from audiomentations import Gain as Transform

from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay


@dataclass(frozen=True)
class Gain(WaveformTechnique):
    """audiomentations' Gain, then hard clipping at full scale.

    Features are normalised to one level, so a gain alone does not change the input of a model; clipping does.
    Training clips are at full scale, so every gain above 0 dB clips peaks. A gain below 0 dB changes only the
    quantisation steps of a codec that follows.
    """

    gain_db: Range = (-12.0, 12.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("gain_db", self.gain_db, -60, 40)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The gain in dB."""
        return {"gain_db": rng.uniform(*self.gain_db)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` with the gain, clipped at ±1."""
        return replay(Transform(), samples, amplitude_ratio=10 ** (draw["gain_db"] / 20)).clip(-1.0, 1.0)

"""Additive white Gaussian noise, like the hiss of a cheap microphone."""

from dataclasses import dataclass

import numpy as np

from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, rms


@dataclass(frozen=True)
class Awgn(WaveformTechnique):
    """White noise at a signal-to-noise ratio relative to the level of the whole clip, pauses included.

    audiomentations' AddGaussianSNR is not used: it takes its noise from numpy's global generator, so its
    draws cannot be replayed.
    """

    snr_db: Range = (15.0, 30.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("snr_db", self.snr_db, -10, 80)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The ratio in dB and the seed of the noise."""
        return {"snr_db": rng.uniform(*self.snr_db), "noise_seed": int(rng.integers(2**32))}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` with noise added."""
        noise = np.random.default_rng(draw["noise_seed"]).standard_normal(len(samples), dtype=np.float32)
        return samples + noise * np.float32(rms(samples) * 10 ** (-draw["snr_db"] / 20))

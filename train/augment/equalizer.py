"""A smooth random frequency response, like another microphone."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve, firwin2

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range

KNOTS_HZ = (0, 200, 500, 1000, 2000, 4000, 6000, 8000)  # gains are drawn here, and linear in between
TAPS = 129  # 8 ms


@dataclass(frozen=True)
class Equalizer(WaveformTechnique):
    """A linear-phase filter whose gains at eight frequencies are drawn from a normal distribution.

    audiomentations' SevenBandParametricEQ is not used: it boosts or cuts bands independently, and its draw
    holds filters instead of numbers.
    """

    deviation_db: Range = (0.0, 6.0)  # of the gains of one response

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("deviation_db", self.deviation_db, 0, 20)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The gains in dB at `KNOTS_HZ`."""
        return {"gains_db": rng.normal(0, rng.uniform(*self.deviation_db), len(KNOTS_HZ)).tolist()}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` filtered by the response, of the same length."""
        gains = 10 ** (np.array(draw["gains_db"]) / 20)
        response = firwin2(TAPS, KNOTS_HZ, gains, fs=SAMPLE_RATE)
        return fftconvolve(samples, response)[TAPS // 2 :][: len(samples)].astype(np.float32)

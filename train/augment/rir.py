"""Simulated room impulse response: speech as a distant microphone records it."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, rms

DECAY = 3 * np.log(10)  # amplitude falls by exp(-DECAY), which is 60 dB, in one T60
FIRST_REFLECTION = SAMPLE_RATE * 5 // 1000  # 5 ms after the direct sound: a path 1.7 m longer


@dataclass(frozen=True)
class Rir(WaveformTechnique):
    """Convolution with a direct sound followed by exponentially decaying noise.

    A room's late reverberation is such noise (Moorer 1979, "About this reverberation business"); the early
    reflections of a particular room are left out. Level and length do not change: the tail is cut.
    """

    t60_s: Range = (0.1, 0.8)  # time in which the reverberation falls by 60 dB
    direct_db: Range = (0.0, 12.0)  # energy of the direct sound relative to the reverberation

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("t60_s", self.t60_s, 0.05, 3)
        check_range("direct_db", self.direct_db, -10, 30)

    def draw(self, rng: np.random.Generator) -> Draw:
        """Reverberation time, direct-to-reverberant ratio and the seed of the reflections."""
        return {
            "t60_s": rng.uniform(*self.t60_s),
            "direct_db": rng.uniform(*self.direct_db),
            "room_seed": int(rng.integers(2**32)),
        }

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` with reverberation, at the same level."""
        wet = fftconvolve(samples, impulse_response(draw))[: len(samples)]
        return (wet * (rms(samples) / max(rms(wet), 1e-9))).astype(np.float32)


def impulse_response(draw: Draw) -> Samples:
    """The impulse response `(n_samples,)`, one T60 long: direct sound of amplitude 1, then reverberation."""
    count = max(int(draw["t60_s"] * SAMPLE_RATE), FIRST_REFLECTION + 1)
    noise = np.random.default_rng(draw["room_seed"]).standard_normal(count)
    tail = noise * np.exp(-DECAY * np.arange(count) / (draw["t60_s"] * SAMPLE_RATE))
    tail[:FIRST_REFLECTION] = 0.0
    tail *= 10 ** (-draw["direct_db"] / 20) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)

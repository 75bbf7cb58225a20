"""Band-pass filter to the bandwidth of a telephone line."""

from dataclasses import dataclass

import numpy as np
import soxr
from audiomentations import BandPassFilter as Transform

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay

TELEPHONE_RATE = 8000  # Hz
ROLLOFF_DB = 24  # per octave, beside the band


@dataclass(frozen=True)
class Bandwidth(WaveformTechnique):
    """audiomentations' BandPassFilter, then resampling to 8 kHz and back, which removes all above 4 kHz.

    The defaults are the band of a telephone line (ITU-T G.712); a recipe may draw the edges from ranges.
    """

    low_hz: Range = (300.0, 300.0)
    high_hz: Range = (3400.0, 3400.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("low_hz", self.low_hz, 20, 1000)
        check_range("high_hz", self.high_hz, 1500, TELEPHONE_RATE / 2)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The edges of the band in Hz."""
        return {"low_hz": rng.uniform(*self.low_hz), "high_hz": rng.uniform(*self.high_hz)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` limited to the band, of the same length."""
        low, high = draw["low_hz"], draw["high_hz"]
        narrow = replay(
            Transform(), samples, center_freq=(low + high) / 2, bandwidth=high - low, rolloff=ROLLOFF_DB
        )
        return through_rate(narrow, TELEPHONE_RATE)


def through_rate(samples: Samples, rate: int) -> Samples:
    """`samples` resampled to `rate` Hz and back, of the same length."""
    back = soxr.resample(soxr.resample(samples, SAMPLE_RATE, rate), rate, SAMPLE_RATE)
    return np.pad(back, (0, max(0, len(samples) - len(back))))[: len(samples)].astype(np.float32)

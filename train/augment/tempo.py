"""Time stretching of the waveform: tempo changes, pitch does not.

The recipe's older key `time_stretch` interpolates between the feature frames of a whole batch with one rate,
which is cheaper. This technique overlaps waveforms and draws a rate for each clip.
"""

from dataclasses import dataclass

import numpy as np
from audiomentations import TimeStretch as Transform

from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay


@dataclass(frozen=True)
class Tempo(WaveformTechnique):
    """audiomentations' TimeStretch (Signalsmith Stretch)."""

    rate: Range = (0.85, 1.15)  # above 1 is faster

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("rate", self.rate, 0.5, 2)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The rate."""
        return {"rate": rng.uniform(*self.rate)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` at the rate, `len(samples) / rate` long."""
        return replay(Transform(leave_length_unchanged=False), samples, rate=draw["rate"])

"""Time shift of a clip in its window, as if it had been cut earlier or later."""

from dataclasses import dataclass

import numpy as np
from audiomentations import Shift as Transform

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay

MAX_SHARE = 0.25  # of a clip that may be shifted out of its window, so that short clips keep their words


@dataclass(frozen=True)
class TimeShift(WaveformTechnique):
    """audiomentations' Shift: the clip moves in its window; silence fills the gap, the rest is cut."""

    shift_s: Range = (-0.3, 0.3)  # above 0 is later

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("shift_s", self.shift_s, -2, 2)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The shift in seconds."""
        return {"shift_s": rng.uniform(*self.shift_s)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` shifted, of the same length; the new edge is faded over 5 ms to avoid a click."""
        most = int(MAX_SHARE * len(samples))
        shift = int(np.clip(round(draw["shift_s"] * SAMPLE_RATE), -most, most))
        mover = Transform(-1, 1, shift_unit="samples", rollover=False, fade_duration=0.005)
        return replay(mover, samples, shift_amount=shift)

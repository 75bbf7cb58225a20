"""Pitch shift at constant tempo."""

from dataclasses import dataclass

import numpy as np
from audiomentations import PitchShift as Transform

from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay


@dataclass(frozen=True)
class PitchShift(WaveformTechnique):
    """audiomentations' PitchShift (Signalsmith Stretch). Formants move too, like those of another speaker.

    Pitch itself expresses emotion, so the shift should be small relative to the difference between speakers.
    """

    semitones: Range = (-2.0, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("semitones", self.semitones, -12, 12)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The shift in semitones."""
        return {"semitones": rng.uniform(*self.semitones)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` shifted, of the same length."""
        return replay(Transform(), samples, num_semitones=draw["semitones"])

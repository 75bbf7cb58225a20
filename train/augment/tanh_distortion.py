"""Soft clipping: an amplifier driven too hard."""

from dataclasses import dataclass

import numpy as np
from audiomentations import TanhDistortion as Transform

from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay


@dataclass(frozen=True)
class TanhDistortion(WaveformTechnique):
    """audiomentations' TanhDistortion: the hyperbolic tangent of the amplified samples, level kept."""

    amount: Range = (0.01, 0.7)  # roughly the share of the samples that are bent

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("amount", self.amount, 0, 1)

    def draw(self, rng: np.random.Generator) -> Draw:
        """How much is bent."""
        return {"amount": rng.uniform(*self.amount)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` distorted, as loud as before."""
        return replay(Transform(), samples, distortion_amount=draw["amount"])

"""Soft clipping, like an overdriven amplifier."""

from dataclasses import dataclass

import numpy as np
from audiomentations import TanhDistortion as Transform

from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range, replay


@dataclass(frozen=True)
class TanhDistortion(WaveformTechnique):
    """audiomentations' TanhDistortion: the hyperbolic tangent of the amplified samples, at the same level."""

    amount: Range = (0.01, 0.7)  # roughly the share of the samples that are distorted

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("amount", self.amount, 0, 1)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The amount of distortion."""
        return {"amount": rng.uniform(*self.amount)}

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` distorted, at the same level."""
        return replay(Transform(), samples, distortion_amount=draw["amount"])

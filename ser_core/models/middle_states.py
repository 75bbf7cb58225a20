"""What the voices' networks have computed of a clip that a model of emotions reads too."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MiddleStates:
    """The hidden states of CAM++'s middle block over a clip (`campplus.MiddleBlock`), pooled over time."""

    pooled: NDArray[np.float32]  # (2048,) their mean and deviation
    weights: str  # `campplus.middle_weights` of the network that computed them

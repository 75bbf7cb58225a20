"""How much voices differ, and how much one voice differs from itself: the evidence for a grouping of pieces.

The two-covariance model of Brümmer and de Villiers (2010), "The speaker partitioning problem". The projection
makes the covariance within voices about 1 in each dimension and the one between voices diagonal. Where a
recording as a whole lies (its room and microphone) is unknown and does not count. The space is fitted by
`train/fitting/voice_space.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VoiceSpace:
    """Directions in which voices differ."""

    projection: Floats  # (192, dimension)
    between: Floats  # (dimension,): the variance of voices; that of a voice is 1, of long pieces

    def log_evidence(self, vectors: Floats, weight: Floats, groupings: Sequence[NDArray[np.int64]]) -> Floats:
        """How much more likely each of `groupings` is than a single voice: logarithms, per weight.

        Of points with `vectors` (point, 192) and `weight` (point,) as `weight_of` gives it. A grouping
        (point,) is the voice of each from 0 on.
        """
        points = vectors @ self.projection
        one = self._log_likelihood(points, weight, np.zeros(len(points), np.int64))
        gains = [self._log_likelihood(points, weight, grouping) - one for grouping in groupings]
        return np.asarray(np.array(gains) / weight.sum())

    def _log_likelihood(self, points: Floats, weight: Floats, grouping: NDArray[np.int64]) -> float:
        """The logarithm of the likelihood of projected `points` (point, dimension), up to a constant."""
        members = np.eye(grouping.max() + 1)[grouping].T * weight  # (voice, point)
        count = members.sum(axis=1)
        means = members @ points / count[:, None]  # (voice, dimension)
        scatter = (weight[:, None] * (points - means[grouping]) ** 2).sum()
        precision = 1 / (self.between + 1 / count[:, None])  # of the means, about the recording's
        middle = (precision * means).sum(axis=0) / precision.sum(axis=0)
        distances = (precision * (means - middle) ** 2).sum()
        return 0.5 * float(
            np.log(precision).sum()
            - np.log(precision.sum(axis=0)).sum()
            - points.shape[1] * np.log(count).sum()
            - scatter
            - distances
        )


def weight_of(seconds: Floats) -> Floats:
    """What a piece of so many seconds counts: its vector's variance is about 1 + 1 s / length."""
    return np.asarray(seconds / (seconds + 1))

"""Fits `VoiceSpace`: covariances between and within voices, of recordings whose voices are known."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ser_core.models.voice_space import VoiceSpace, weight_of

DIMENSIONS = 80
SHRINKAGE = 1.0  # mean variances added to the covariance within voices, which has few voices to learn from
LEAST_BETWEEN = 1e-3
LEAST_PIECES = 3  # of a voice that counts

Voice = tuple[NDArray[np.float64], NDArray[np.float64]]  # vectors (piece, 192), seconds (piece,)


def fit(recordings: Iterable[Sequence[Voice]]) -> VoiceSpace:
    """The space of `recordings`, each given by its voices. Raises ValueError without two voices in one."""
    within, between = np.zeros((192, 192)), np.zeros((192, 192))
    pieces = others = 0  # degrees of freedom
    for voices in recordings:
        means = []
        for vectors, seconds in voices:
            if len(vectors) >= LEAST_PIECES:
                weight = weight_of(seconds)
                means.append(np.average(vectors, axis=0, weights=weight))
                apart = (vectors - means[-1]) * np.sqrt(weight)[:, None]
                within += apart.T @ apart
                pieces += len(vectors) - 1
        if len(means) > 1:
            apart = np.array(means) - np.mean(means, axis=0)
            between += apart.T @ apart
            others += len(means) - 1
    if not others:
        raise ValueError("no recording has two voices")
    within, between = within / pieces, between / others
    shrunk = within + SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    variances, directions = eigh(between, shrunk)
    projection, variances = directions[:, -DIMENSIONS:], variances[-DIMENSIONS:]
    own = np.trace(projection.T @ within @ projection) / DIMENSIONS
    return VoiceSpace(projection / np.sqrt(own), np.maximum(variances, LEAST_BETWEEN) / own)

"""Clips of invented voices, as a joint model of voice and emotion expects them."""

import numpy as np
from numpy.typing import NDArray

SIZE, CLASSES = 96, 8


def invented_voices() -> tuple[NDArray[np.float64], NDArray[np.int64], list[str], NDArray[np.float64]]:
    """Embeddings `(clip, SIZE)`, labels, voices and weights of 1500 clips of 30 voices of two corpora.

    One corpus lacks an emotion, and no voice has all.
    """
    rng = np.random.default_rng(0)
    emotions, voices = rng.normal(size=(CLASSES, SIZE)), 1.5 * rng.normal(size=(30, SIZE))
    style = 0.5 * rng.normal(size=(30, CLASSES, SIZE))
    who = rng.integers(0, 30, 1500)
    labels = np.where(who < 12, rng.integers(0, 7, 1500), rng.integers(0, 8, 1500))
    rows = emotions[labels] + voices[who] + style[who, labels] + rng.normal(size=(1500, SIZE))
    first = who < 12
    weights = np.where(first, first.sum() ** -0.5, (~first).sum() ** -0.5)
    return rows, labels, [f"voice{i:02d}" for i in who], weights

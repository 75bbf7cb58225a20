"""Clips of invented voices, and the joint model of them."""

import numpy as np
import pytest

from benchmarks.session_reader import fit_joint

SIZE, CLASSES = 96, 8


@pytest.fixture(scope="session")
def clips():
    """Clips of 30 voices of two corpora, one of which lacks an emotion; no voice has all."""
    rng = np.random.default_rng(0)
    emotions, voices = rng.normal(size=(CLASSES, SIZE)), 1.5 * rng.normal(size=(30, SIZE))
    style = 0.5 * rng.normal(size=(30, CLASSES, SIZE))
    who = rng.integers(0, 30, 1500)
    labels = np.where(who < 12, rng.integers(0, 7, 1500), rng.integers(0, 8, 1500))
    rows = emotions[labels] + voices[who] + style[who, labels] + rng.normal(size=(1500, SIZE))
    return rows, labels, np.array([f"voice{i:02d}" for i in who]), who < 12


@pytest.fixture(scope="session")
def ours(clips):
    """The joint model of `clips`."""
    rows, labels, who, first = clips
    corpora = [
        fit_joint.Corpus(name, rows[of], labels[of], who[of]) for name, of in (("a", first), ("b", ~first))
    ]
    return fit_joint.fit(corpora, basis=fit_joint.Principal(np.zeros(SIZE), np.eye(SIZE)))

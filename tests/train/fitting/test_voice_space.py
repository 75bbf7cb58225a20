"""The space of voices, fitted on vectors whose covariances are known."""

import numpy as np
import pytest

from train.fitting import voice_space


def recording(rng: np.random.Generator, voices: int) -> list[voice_space.Voice]:
    """Voices that differ in their first 40 numbers, ten times as much as one differs from itself."""
    spread = np.r_[np.full(40, 10.0), np.zeros(152)]
    room, made = rng.normal(size=192), []
    for _ in range(voices):
        place, seconds = room + spread * rng.normal(size=192), rng.uniform(1, 3, 12)
        noise = rng.normal(size=(12, 192)) * np.sqrt(1 + 1 / seconds)[:, None]
        made.append((place + noise, seconds))
    return made


def test_directions_in_which_voices_differ_are_found():
    rng = np.random.default_rng(0)
    space = voice_space.fit([recording(rng, 4) for _ in range(60)])
    assert space.projection.shape == (192, voice_space.DIMENSIONS)
    strongest = space.projection[:, -40:] ** 2
    assert strongest[:40].sum() / strongest.sum() > 0.95  # 0.21 by chance
    assert (np.diff(space.between) >= 0).all()
    assert (space.between > 0).all()


def test_a_voice_has_a_variance_of_about_one():
    rng = np.random.default_rng(1)
    space = voice_space.fit([recording(rng, 4) for _ in range(60)])
    long = 1000.0  # s: its vector has the least variance
    points = rng.normal(size=(500, 192)) * np.sqrt(1 + 1 / long) @ space.projection
    assert points.var(axis=0).mean() == pytest.approx(1, rel=0.1)


def test_recordings_of_one_voice_each_are_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(ValueError, match="no recording has two voices"):
        voice_space.fit([recording(rng, 1)])

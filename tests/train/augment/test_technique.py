"""Tests of every waveform technique: range checks, seeds, replay, unchanged input."""

import json
import random

import numpy as np
import pytest
from support import SAMPLE_RATE, syllables

from train.augment import WAVEFORM_TECHNIQUES

VOICE = syllables(2)
each = pytest.mark.parametrize("name", WAVEFORM_TECHNIQUES)


def technique_named(name: str):
    return WAVEFORM_TECHNIQUES[name]()


def drawn(name: str, seed: int = 0):
    return technique_named(name).draw(np.random.default_rng(seed))


@each
@pytest.mark.parametrize("seed", range(6))  # enough to meet most codecs
def test_a_draw_written_as_json_and_applied_again_gives_the_same_samples(name, seed):
    draw = drawn(name, seed)
    first = technique_named(name).apply(VOICE, draw)
    again = technique_named(name).apply(VOICE, json.loads(json.dumps(draw)))
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()


@each
def test_the_generator_decides_the_draw(name):
    assert drawn(name, 3) == drawn(name, 3)
    if name != "bandwidth":  # whose default is one band
        assert drawn(name, 3) != drawn(name, 4)


@each
def test_what_it_is_given_stays_as_it_was(name):
    samples = VOICE.copy()
    changed = technique_named(name).apply(samples, drawn(name))
    assert np.array_equal(samples, VOICE)
    assert len(changed) != len(VOICE) or not np.array_equal(changed, VOICE)


@each
def test_no_global_generator_is_used(name):
    before = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]
    technique_named(name).apply(VOICE, drawn(name))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2])


@each
@pytest.mark.parametrize("seconds", [0.1, 0.3])
def test_the_shortest_clips_survive(name, seconds):
    short = VOICE[SAMPLE_RATE // 2 :][: int(seconds * SAMPLE_RATE)]
    for seed in range(6):
        changed = technique_named(name).apply(short, drawn(name, seed))
        assert np.isfinite(changed).all()
        assert 0.8 <= len(changed) / len(short) <= 1.2
        assert np.abs(changed).max() > 0.01


@each
def test_silence_stays_finite(name):
    silence = np.zeros(SAMPLE_RATE, np.float32)
    for seed in range(6):
        assert np.isfinite(technique_named(name).apply(silence, drawn(name, seed))).all()


@each
@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan"), "often", True])
def test_a_probability_is_from_0_to_1(name, p):
    with pytest.raises(ValueError, match=r"p must be from 0 to 1, is"):
        WAVEFORM_TECHNIQUES[name](p=p)


@pytest.mark.parametrize(
    ("name", "key", "low", "high"),
    [
        ("awgn", "snr_db", -10, 80),
        ("rir", "t60_s", 0.05, 3),
        ("rir", "direct_db", -10, 30),
        ("tanh_distortion", "amount", 0, 1),
        ("pitch_shift", "semitones", -12, 12),
        ("tempo", "rate", 0.5, 2),
        ("time_shift", "shift_s", -2, 2),
        ("gain", "gain_db", -60, 40),
        ("bandwidth", "low_hz", 20, 1000),
        ("bandwidth", "high_hz", 1500, 4000),
        ("low_pass", "cutoff_hz", 2000, 8000),
        ("codec", "compression", 0, 1),
    ],
)
def test_ranges_are_checked_when_it_is_made(name, key, low, high):
    technique = WAVEFORM_TECHNIQUES[name]
    assert getattr(technique(**{key: (low, high)}), key) == (low, high)
    nan = float("nan")
    for wrong in [(high, low), (low - 1, high), (low, high + 1), (low, nan), (low,), high, "x", (low, "x")]:
        with pytest.raises(ValueError, match=f"{key} must be two numbers from {low:g} to {high:g}"):
            technique(**{key: wrong})

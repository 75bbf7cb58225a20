"""Pitch shift moves the pitch by the drawn semitones and keeps the length."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.pitch_shift import PitchShift

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("semitones", [-2.0, -0.5, 1.0, 2.0])
def test_a_tone_moves_by_the_semitones(semitones):
    shifted = PitchShift().apply(TONE, {"semitones": semitones})
    middle = shifted[SAMPLE_RATE // 2 :][:SAMPLE_RATE]
    peak_hz = int(np.abs(np.fft.rfft(middle * np.hanning(SAMPLE_RATE))).argmax())
    assert 12 * np.log2(peak_hz / 440) == pytest.approx(semitones, abs=0.1)
    assert len(shifted) == len(TONE)


def test_draws_go_both_ways():
    rng = np.random.default_rng(0)
    drawn = [PitchShift().draw(rng)["semitones"] for _ in range(200)]
    assert -2 <= min(drawn) < -1.8
    assert 1.8 < max(drawn) <= 2

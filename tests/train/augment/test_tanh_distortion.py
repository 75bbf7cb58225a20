"""Soft clipping adds harmonics and keeps the level."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.tanh_distortion import TanhDistortion
from train.augment.technique import rms

TONE = (0.5 * np.sin(2 * np.pi * 400 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


def third_harmonic(samples) -> float:
    """Its share of the fundamental; a second of samples has a bin a hertz."""
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum[1200] / spectrum[400])


def test_the_more_the_more_harmonics():
    shares = [third_harmonic(TanhDistortion().apply(TONE, {"amount": a})) for a in (0.01, 0.3, 0.7)]
    assert third_harmonic(TONE) < 1e-4
    assert 0.005 < shares[0] < shares[1] < shares[2] < 1 / 3  # of a square wave


@pytest.mark.parametrize("amount", [0.01, 0.7])
def test_the_level_stays(amount):
    assert rms(TanhDistortion().apply(TONE, {"amount": amount})) == pytest.approx(rms(TONE), rel=1e-3)

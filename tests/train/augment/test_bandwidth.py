"""The band-pass filter leaves the telephone band."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.bandwidth import Bandwidth

NOISE = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)


def passed_db(samples, low_hz: int, high_hz: int) -> float:
    """How much of white noise is left between two frequencies."""

    def power(of) -> float:
        spectrum = np.abs(np.fft.rfft(of)) ** 2
        return spectrum[low_hz * 4 : high_hz * 4].mean()  # four seconds: a quarter hertz a bin

    return 10 * np.log10(power(samples) / power(NOISE))


def test_the_telephone_band_passes_and_the_rest_does_not():
    narrow = Bandwidth().apply(NOISE, Bandwidth().draw(np.random.default_rng(0)))
    assert len(narrow) == len(NOISE)
    assert passed_db(narrow, 500, 3000) == pytest.approx(0, abs=0.5)
    assert passed_db(narrow, 0, 100) < -30
    assert passed_db(narrow, 4050, 8000) < -60


def test_a_recipe_may_draw_the_edges():
    rng = np.random.default_rng(0)
    technique = Bandwidth(low_hz=(100, 500), high_hz=(2500, 4000))
    drawn = [technique.draw(rng) for _ in range(50)]
    assert all(100 <= draw["low_hz"] <= 500 and 2500 <= draw["high_hz"] <= 4000 for draw in drawn)
    narrower = technique.apply(NOISE, {"low_hz": 500.0, "high_hz": 2500.0})
    assert passed_db(narrower, 3300, 3800) < -10

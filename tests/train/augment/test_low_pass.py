"""The low-pass filter removes what lies above its cut-off frequency, and nothing below."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.low_pass import LowPass

NOISE = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)


def power_db(samples, low_hz: int, high_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    return 10 * np.log10(spectrum[low_hz * 4 : high_hz * 4].mean() + 1e-12)  # 4 s: a quarter hertz a bin


@pytest.mark.parametrize("cutoff_hz", [4000, 5512, 7000])
def test_above_the_cut_off_nothing_is_left(cutoff_hz):
    narrow = LowPass().apply(NOISE, {"cutoff_hz": cutoff_hz})
    assert len(narrow) == len(NOISE)
    below, above = (200, int(0.85 * cutoff_hz)), (int(1.03 * cutoff_hz), 8000)
    assert power_db(narrow, *below) == pytest.approx(power_db(NOISE, *below), abs=0.3)
    assert power_db(narrow, *above) < power_db(NOISE, *above) - 50


def test_a_recipe_draws_the_cut_off():
    rng = np.random.default_rng(0)
    drawn = [LowPass(cutoff_hz=(3000, 6000)).draw(rng)["cutoff_hz"] for _ in range(100)]
    assert all(3000 <= cutoff <= 6000 for cutoff in drawn)
    assert max(drawn) - min(drawn) > 2000

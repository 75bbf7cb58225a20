"""White noise has the drawn signal-to-noise ratio."""

import numpy as np
import pytest
from support import syllables

from train.augment.awgn import Awgn
from train.augment.technique import rms

VOICE = syllables(2)


@pytest.mark.parametrize("snr_db", [0.0, 15.0, 30.0])
def test_the_noise_stands_at_the_drawn_ratio(snr_db):
    noise = Awgn().apply(VOICE, {"snr_db": snr_db, "noise_seed": 1}) - VOICE
    assert 20 * np.log10(rms(VOICE) / rms(noise)) == pytest.approx(snr_db, abs=0.2)


def test_the_noise_is_white():
    noise = Awgn().apply(VOICE, {"snr_db": 0.0, "noise_seed": 1}) - VOICE
    power = np.abs(np.fft.rfft(noise)) ** 2
    quarters = [quarter.mean() for quarter in np.array_split(power, 4)]
    assert max(quarters) / min(quarters) < 1.1


def test_ratios_fill_the_range():
    rng = np.random.default_rng(0)
    drawn = [Awgn().draw(rng)["snr_db"] for _ in range(500)]
    assert 15 <= min(drawn) < 15.5
    assert 29.5 < max(drawn) <= 30

"""Speed perturbation changes tempo and pitch together."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.speed import Speed

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("rate", [0.85, 1.0, 1.18])
def test_length_and_pitch_follow_the_rate(rate):
    changed = Speed().apply(TONE, {"rate": rate})
    assert len(changed) == pytest.approx(len(TONE) / rate, abs=2)
    second = changed[:SAMPLE_RATE]
    assert np.abs(np.fft.rfft(second * np.hanning(SAMPLE_RATE))).argmax() == pytest.approx(440 * rate, abs=1)


def test_the_rate_lies_in_its_range():
    rng = np.random.default_rng(0)
    assert all(0.9 <= Speed(rate=(0.9, 1.1)).draw(rng)["rate"] <= 1.1 for _ in range(50))
    with pytest.raises(ValueError, match="rate"):
        Speed(rate=(0.1, 1.0))

"""Time stretching changes tempo and keeps the pitch."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.tempo import Tempo

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("rate", [0.85, 1.0, 1.15])
def test_it_takes_as_long_as_the_rate_says(rate):
    assert len(Tempo().apply(TONE, {"rate": rate})) == pytest.approx(len(TONE) / rate, abs=2)


@pytest.mark.parametrize("rate", [0.85, 1.15])
def test_the_pitch_stays(rate):
    middle = Tempo().apply(TONE, {"rate": rate})[SAMPLE_RATE // 2 :][:SAMPLE_RATE]
    peak_hz = int(np.abs(np.fft.rfft(middle * np.hanning(SAMPLE_RATE))).argmax())
    assert abs(peak_hz - 440) <= 3

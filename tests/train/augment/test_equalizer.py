"""The equaliser has the drawn gains at its frequencies."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.equalizer import KNOTS_HZ, Equalizer

NOISE = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)


def gain_db(samples, hz: int) -> float:
    """How much louder than in `NOISE` it is around a frequency."""
    near = slice(4 * (hz - 50), 4 * (hz + 50))  # four seconds: a quarter hertz a bin
    power = [(np.abs(np.fft.rfft(sound)) ** 2)[near].mean() for sound in (samples, NOISE)]
    return 10 * np.log10(power[0] / power[1])


def test_the_response_is_what_was_drawn():
    drawn = {"gains_db": [0.0, 0.0, 6.0, 0.0, -6.0, 3.0, 0.0, 0.0]}
    changed = Equalizer().apply(NOISE, drawn)
    assert len(changed) == len(NOISE)
    for hz, expected_db in ((1000, 0.0), (2000, -6.0), (4000, 3.0)):
        assert gain_db(changed, hz) == pytest.approx(expected_db, abs=1.0)


def test_no_deviation_leaves_the_sound_as_it_is():
    drawn = Equalizer(deviation_db=(0, 0)).draw(np.random.default_rng(0))
    assert drawn == {"gains_db": [0.0] * len(KNOTS_HZ)}
    np.testing.assert_allclose(Equalizer().apply(NOISE, drawn), NOISE, atol=1e-4)


def test_a_deviation_is_a_number_of_decibels():
    with pytest.raises(ValueError, match="deviation_db"):
        Equalizer(deviation_db=(-1, 3))

"""The simulated room impulse response has the drawn reverberation time and level."""

import numpy as np
import pytest
from support import SAMPLE_RATE, syllables

from train.augment.rir import FIRST_REFLECTION, Rir, impulse_response
from train.augment.technique import rms


@pytest.mark.parametrize("t60_s", [0.1, 0.3, 0.8])
def test_reverberation_falls_60_db_in_t60(t60_s):
    """By Schroeder's backward integration, the slope between -5 and -25 dB (ISO 3382: T20)."""
    room = impulse_response({"t60_s": t60_s, "direct_db": 0.0, "room_seed": 3})[1:].astype(float)
    left_db = 10 * np.log10(np.cumsum(np.square(room)[::-1])[::-1] / np.square(room).sum())
    early, late = (int(np.argmax(left_db < level)) for level in (-5, -25))
    assert 3 * (late - early) / SAMPLE_RATE == pytest.approx(t60_s, rel=0.15)


@pytest.mark.parametrize("direct_db", [0.0, 12.0])
def test_direct_sound_stands_at_the_drawn_ratio(direct_db):
    room = impulse_response({"t60_s": 0.4, "direct_db": direct_db, "room_seed": 3})
    assert room[0] == 1
    assert not room[1:FIRST_REFLECTION].any()
    assert -10 * np.log10(np.square(room[1:].astype(float)).sum()) == pytest.approx(direct_db, abs=1e-3)


def test_a_word_rings_into_the_pause_behind_it():
    voice = syllables(1, pause_s=0.6)
    wet = Rir().apply(voice, {"t60_s": 0.8, "direct_db": 0.0, "room_seed": 3})
    pause = slice(len(voice) - int(0.55 * SAMPLE_RATE), len(voice) - int(0.3 * SAMPLE_RATE))
    assert rms(wet[pause]) > 20 * rms(voice[pause])
    assert len(wet) == len(voice)
    assert rms(wet) == pytest.approx(rms(voice), rel=1e-3)

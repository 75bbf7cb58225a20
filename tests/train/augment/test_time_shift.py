"""Time shift moves the clip in its window and fills the gap with silence."""

import numpy as np
import pytest
from support import SAMPLE_RATE

from train.augment.time_shift import MAX_SHARE, TimeShift

NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
FADE = SAMPLE_RATE // 200


@pytest.mark.parametrize("shift", [-4800, -1, 1, 1600, 4800])
def test_samples_move_and_silence_comes_in(shift):
    moved = TimeShift().apply(NOISE, {"shift_s": shift / SAMPLE_RATE})
    assert len(moved) == len(NOISE)
    if shift > 0:
        assert not moved[:shift].any()
        assert np.array_equal(moved[shift + FADE :], NOISE[FADE:-shift])
    else:
        assert not moved[shift:].any()
        assert np.array_equal(moved[: shift - FADE], NOISE[-shift:-FADE])


def test_shifts_stay_in_range_and_go_both_ways():
    rng = np.random.default_rng(0)
    drawn = [TimeShift().draw(rng)["shift_s"] for _ in range(200)]
    assert -0.3 <= min(drawn) < -0.25
    assert 0.25 < max(drawn) <= 0.3


@pytest.mark.parametrize("shift_s", [-0.3, 0.3])
def test_a_short_clip_keeps_most_of_itself(shift_s):
    moved = TimeShift().apply(NOISE[:1600], {"shift_s": shift_s})
    assert np.count_nonzero(moved) == pytest.approx((1 - MAX_SHARE) * 1600, abs=2)

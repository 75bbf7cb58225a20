"""Diarisation error, and the share of time with the right voice; see voices.py."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ser_core.audio.waveform import SAMPLE_RATE

STEP = SAMPLE_RATE // 100  # 10 ms
COLLAR_STEPS = 25  # 0.25 s on both sides of each true start and end

Stretch = tuple[int, int, int]  # start and end in samples, voice


@dataclass(frozen=True)
class Score:
    """Of one recording; shares of the scored true speech, which two voices at once count twice in."""

    error: float  # missed, false alarm, and the wrong voice
    error_single: float  # the same where one voice speaks at a time
    right: float  # with the right voice, where one voice speaks at a time
    right_all: float  # the same without a collar
    unsure: float  # "?", where one voice speaks at a time
    voices: int  # found
    true_voices: int
    scored_s: float


def score(
    truth: Iterable[Stretch], found: Iterable[Stretch], unsure: Iterable[tuple[int, int]], n_samples: int
) -> Score:
    """The score of what was found; voices are matched one to one as is best."""
    truth, found = list(truth), list(found)
    steps = n_samples // STEP
    reference, answer = _active(truth, steps), _active(found, steps)
    open_ = _active([(start, end, 0) for start, end in unsure], steps).any(axis=0)
    inside = np.ones(steps, bool)
    for start, end, _ in truth:
        for edge in (start, end):
            at = edge // STEP
            inside[max(0, at - COLLAR_STEPS) : at + COLLAR_STEPS] = False
    overlaps = reference[:, inside].astype(float) @ answer[:, inside].T.astype(float)  # (true, found)
    rows, columns = linear_sum_assignment(-overlaps)
    matched = np.zeros(steps, int)
    for row, column in zip(rows, columns, strict=True):
        matched += reference[row] & answer[column]
    n_true, n_found = reference.sum(axis=0), answer.sum(axis=0)
    wrong = np.maximum(n_true, n_found) - matched
    single = inside & (n_true <= 1)
    alone = inside & (n_true == 1)
    return Score(
        error=wrong[inside].sum() / max(1, n_true[inside].sum()),
        error_single=wrong[single].sum() / max(1, n_true[single].sum()),
        right=matched[alone].sum() / max(1, alone.sum()),
        right_all=matched[n_true == 1].sum() / max(1, (n_true == 1).sum()),
        unsure=(open_ & alone).sum() / max(1, alone.sum()),
        voices=len({voice for _, _, voice in found}),
        true_voices=len({voice for _, _, voice in truth}),
        scored_s=float(n_true[inside].sum()) / 100,
    )


def _active(stretches: Iterable[Stretch], steps: int) -> NDArray[np.bool_]:
    """(voice, step): who speaks when."""
    stretches = list(stretches)
    voices = sorted({voice for _, _, voice in stretches})
    table = np.zeros((max(1, len(voices)), steps), bool)
    for start, end, voice in stretches:
        table[voices.index(voice), start // STEP : end // STEP] = True
    return table

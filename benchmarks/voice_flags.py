"""How far the flags of turns, "?" (no voice) and overlap, are right by the true voices; see voices.py."""

from collections.abc import Callable, Sequence

import numpy as np
from heard import Heard, speakers_of
from scipy.optimize import linear_sum_assignment

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.recognition.diarization import OVERLAP
from ser_core.recognition.voice_clusters import UNSURE

MARGINS = (UNSURE, 2 * UNSURE, 4 * UNSURE)

Voices = Callable[[Heard, float], Sequence[int | None]]  # of each piece, with a margin for "?"


def unsure(recordings: Sequence[Heard], voices: Voices) -> dict[str, dict[str, float]]:
    """For each of `MARGINS`: the share of the time marked "?", and how often the nearest voice is wrong.

    Percent of the time of pieces in which somebody speaks. A voice is wrong where it is not the one that
    matches the speaker of most of the piece; "?" where nobody is heard is left out.
    """
    found = {}
    for margin in MARGINS:
        time = np.zeros((2, 2))  # ("?", wrong)
        for heard in recordings:
            true, nearest, marked = speakers_of(heard), voices(heard, 0.0), voices(heard, margin)
            kept = [
                (speaker, voice, mark is None, piece.span.end - piece.span.start)
                for speaker, voice, mark, piece in zip(true, nearest, marked, heard.pieces, strict=True)
                if speaker is not None and voice is not None
            ]
            shared = np.zeros((1 + max(row[0] for row in kept), 1 + max(row[1] for row in kept)))
            for speaker, voice, _, length in kept:
                shared[speaker, voice] += length
            matches = set(zip(*linear_sum_assignment(-shared), strict=True))
            for speaker, voice, mark, length in kept:
                time[int(mark), int((speaker, voice) not in matches)] += length
        wrong = 100 * time[:, 1] / np.maximum(1, time.sum(axis=1))
        found[f"{margin:g}"] = {
            "unsure": round(100 * float(time[1].sum() / time.sum()), 2),
            "wrong_where_unsure": round(float(wrong[1]), 1),
            "wrong_elsewhere": round(float(wrong[0]), 1),
        }
    return found


def overlap(recordings: Sequence[Heard]) -> dict[str, float]:
    """How far the marks have two voices in pieces in which the network hears two, as for `Turn.overlap`."""
    flagged = right = both = 0.0  # samples
    for heard in recordings:
        active = np.zeros(heard.n_samples, np.int8)
        for start, end, _ in heard.truth:
            active[start:end] += 1
        both += np.count_nonzero(active > 1)
        for piece in heard.pieces:
            if piece.overlap > OVERLAP:
                flagged += piece.span.end - piece.span.start
                right += np.count_nonzero(active[piece.span.start : piece.span.end] > 1)
    return {
        "overlap_s": round(float(both) / SAMPLE_RATE, 1),
        "flagged_s": round(flagged / SAMPLE_RATE, 1),
        "of_flagged_right": round(100 * float(right) / max(1.0, flagged), 1),
        "of_overlap_flagged": round(100 * float(right) / max(1.0, float(both)), 1),
    }

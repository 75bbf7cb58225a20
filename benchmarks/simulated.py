"""Simulated sessions of one voice: every emotion, mostly neutral, one emotion, or uneven; 2 to 41 clips.

On them the ends of a gate and the confidence of a checkpoint are chosen (`benchmarks.left_out`).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.unseen import Embedded
from ser_core.emotions import LABELS

SHORTEST, LONGEST = 2, 41  # clips of a session; lengths are log-uniform
COUNTED = 400  # about so many clips of a corpus, kind and seed
NEUTRAL = LABELS.index("neutral")
SHARE_NEUTRAL = 0.7  # of mostly neutral sessions
CONCENTRATIONS = (0.1, 0.3, 1.0)  # of the Dirichlet distribution of mixed ones

Rows = NDArray[np.int64]
Cells = dict[int, list[int]]  # label -> clips of one voice
Shares = Callable[[Cells, np.random.Generator], dict[int, float]]


def of_every(cells: Cells, rng: np.random.Generator) -> dict[int, float]:
    """Each emotion of the voice as likely."""
    return dict.fromkeys(cells, 1.0)


def of_neutral(cells: Cells, rng: np.random.Generator) -> dict[int, float]:
    """Mostly neutral, the others as likely."""
    return {
        label: SHARE_NEUTRAL if label == NEUTRAL else (1 - SHARE_NEUTRAL) / (len(cells) - 1)
        for label in cells
    }


def of_one(cells: Cells, rng: np.random.Generator) -> dict[int, float]:
    """One of those that the voice has two clips of."""
    return {int(rng.choice([label for label, rows in cells.items() if len(rows) > 1])): 1.0}


def of_mixed(cells: Cells, rng: np.random.Generator) -> dict[int, float]:
    """Uneven at random."""
    shares = rng.dirichlet([rng.choice(CONCENTRATIONS)] * len(cells))
    return dict(zip(cells, shares + 1e-9, strict=True))


KINDS: dict[str, Shares] = {"every": of_every, "neutral": of_neutral, "one": of_one, "mixed": of_mixed}


def draw(clips: Embedded, kind: str, seed: int) -> Iterator[Rows]:
    """Sessions of `kind`: clips of one voice in order, none twice. None of voices that cannot have it."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), len(clips.targets)])
    voices: dict[str, Cells] = {}
    for row, (speaker, label) in enumerate(zip(clips.speakers, clips.targets.tolist(), strict=True)):
        voices.setdefault(speaker, {}).setdefault(label, []).append(row)
    able = [cells for _, cells in sorted(voices.items()) if _can(cells, kind)]
    counted = 0
    while able and counted < COUNTED:
        length = round(np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))
        cells = able[rng.integers(len(able))]
        shares = KINDS[kind](cells, rng)
        left = {label: rng.permutation(cells[label]).tolist() for label in shares}
        rows: list[int] = []
        # A mostly neutral session ends where neutral clips do: it would no longer be one.
        while len(rows) < length and any(left.values()) and (kind != "neutral" or left[NEUTRAL]):
            labels = [label for label in left if left[label]]
            weights = np.array([shares[label] for label in labels])
            rows.append(left[labels[rng.choice(len(labels), p=weights / weights.sum())]].pop())
        if len(rows) >= SHORTEST:
            counted += len(rows) - 1
            yield np.array(rows)


def _can(cells: Cells, kind: str) -> bool:
    if kind == "one":
        return any(len(rows) > 1 for rows in cells.values())
    return len(cells) > 1 and (kind != "neutral" or NEUTRAL in cells)

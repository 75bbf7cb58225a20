"""Sound in memory: what the parts of the program hand on to each other. Needs numpy alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, of everything inside the program

Samples = NDArray[np.float32]  # (n_samples,) mono


@dataclass(frozen=True)
class Waveform:
    """Mono sound: `samples` float32, shape (n_samples,), in [-1, 1]."""

    samples: Samples
    sample_rate: int = SAMPLE_RATE

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


def join(blocks: Iterable[Samples]) -> Waveform:
    """Blocks of samples at 16 kHz, each `(n_samples,)`, as one waveform; of none, an empty one."""
    return Waveform(np.concatenate([*blocks, np.zeros(0, np.float32)]))


def windows_of(clips: Sequence[Samples], window_s: float) -> list[tuple[int, Samples]]:
    """`clips` cut evenly into windows of at most `window_s`, each beside its clip's number.

    >>> [(clip, len(window)) for clip, window in windows_of([np.zeros(9, np.float32)], 4 / 16_000)]
    [(0, 3), (0, 3), (0, 3)]
    """
    longest = int(window_s * SAMPLE_RATE)
    return [
        (number, window)
        for number, clip in enumerate(clips)
        for window in np.array_split(clip, ceil(len(clip) / longest))
    ]

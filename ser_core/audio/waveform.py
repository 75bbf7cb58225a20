"""Waveforms: mono samples in memory with their sampling rate. Needs numpy alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz; everything inside the program has this rate

Samples = NDArray[np.float32]  # (n_samples,) mono


@dataclass(frozen=True)
class Waveform:
    """Mono audio: `samples` float32, shape (n_samples,), in [-1, 1]."""

    samples: Samples
    sample_rate: int = SAMPLE_RATE

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


def join(blocks: Iterable[Samples]) -> Waveform:
    """One waveform from blocks of samples at 16 kHz, each `(n_samples,)`; empty if there are no blocks."""
    return Waveform(np.concatenate([*blocks, np.zeros(0, np.float32)]))


def windows_of(clips: Sequence[Samples], window_s: float) -> list[tuple[int, Samples]]:
    """`clips` cut into windows of equal length, at most `window_s` seconds: (clip index, window) pairs.

    Each clip is `(n_samples,)` at 16 kHz.

    >>> [(clip, len(window)) for clip, window in windows_of([np.zeros(9, np.float32)], 4 / 16_000)]
    [(0, 3), (0, 3), (0, 3)]
    """
    max_samples = int(window_s * SAMPLE_RATE)
    return [
        (index, window)
        for index, clip in enumerate(clips)
        for window in np.array_split(clip, ceil(len(clip) / max_samples))
    ]

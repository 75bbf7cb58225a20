"""Waveforms, and decoding of untrusted audio bytes into them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, of everything inside the program


class AudioError(Exception):
    """A recording that cannot be used. `code` is stable, `message` says what happened and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Waveform:
    """Mono sound: `samples` float32, shape (n_samples,), in [-1, 1]."""

    samples: NDArray[np.float32]
    sample_rate: int = SAMPLE_RATE

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

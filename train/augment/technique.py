"""Base classes of the techniques: a probability, range checks, and draws that can be replayed.

A technique first draws its parameters from a random generator, then changes a clip by them. The draw is plain
data: stored as JSON and read again, it gives a bit-identical result for the same clip.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from audiomentations.core.transforms_interface import BaseWaveformTransform
from numpy.typing import NDArray

from ser_core.audio.waveform import SAMPLE_RATE

Samples = NDArray[np.float32]  # (n_samples,) mono at SAMPLE_RATE, full scale at ±1
Range = tuple[float, float]  # smallest and largest value; drawn uniformly between
Draw = dict[str, Any]  # numbers and names that JSON keeps exactly


@dataclass(frozen=True)
class Technique:
    """One augmentation technique. Raises ValueError for an invalid range."""

    p: float = 0.5  # probability that a clip gets it

    def __post_init__(self) -> None:
        check_number("p", self.p, 0, 1)


@dataclass(frozen=True)
class ClipTechnique(Technique, ABC):
    """A technique that changes single clips."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Draw:
        """The random parameters for one clip."""


class WaveformTechnique(ClipTechnique):
    """A technique that changes samples."""

    @abstractmethod
    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """A changed copy of `samples` `(n_samples,)`; depends on the samples and the draw alone."""


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raises ValueError unless `value` is a number from `low` to `high`."""
    if not _is_number(value) or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name} must be from {low:g} to {high:g}, is {value!r}")


def check_range(name: str, value: object, low: float, high: float) -> None:
    """Raises ValueError unless `value` is a pair of numbers in order, both from `low` to `high`."""
    pair = isinstance(value, tuple) and len(value) == 2 and all(_is_number(end) for end in value)
    if not pair or not low <= value[0] <= value[1] <= high:  # type: ignore[index]
        readable = list(value) if isinstance(value, tuple) else value
        raise ValueError(
            f"{name} must be two numbers from {low:g} to {high:g}, the smaller first, is {readable!r}"
        )


def replay(transform: BaseWaveformTransform, samples: Samples, **parameters: Any) -> Samples:
    """Applies the audiomentations `transform` with fixed `parameters`; draws no random numbers."""
    transform.parameters = {"should_apply": True, **parameters}
    transform.freeze_parameters()
    return np.asarray(transform(samples, SAMPLE_RATE), np.float32)


def rms(samples: Samples) -> float:
    """Root mean square of `samples`."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

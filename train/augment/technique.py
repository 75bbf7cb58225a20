"""What every technique has in common: a probability, checked ranges, and draws that can be replayed.

A technique first draws its numbers from the generator it is given, then changes a clip by them. The draw is
plain data: written to JSON and read again it changes the same clip in the same way, bit by bit.
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
    """One way to change training data. Raises ValueError where a range makes no sense."""

    p: float = 0.5  # probability that a clip gets it

    def __post_init__(self) -> None:
        check_number("p", self.p, 0, 1)


@dataclass(frozen=True)
class ClipTechnique(Technique, ABC):
    """A technique that changes one clip by itself."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Draw:
        """What is left to chance for one clip."""


class WaveformTechnique(ClipTechnique):
    """A technique that changes samples."""

    @abstractmethod
    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """A changed copy of `samples`; depends on the samples and the draw alone."""


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raises ValueError unless `value` is a number from `low` to `high`."""
    if not _is_number(value) or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name} must be from {low:g} to {high:g}, is {value!r}")


def check_range(name: str, value: object, low: float, high: float) -> None:
    """Raises ValueError unless `value` is a pair of numbers in order, both from `low` to `high`."""
    pair = isinstance(value, tuple) and len(value) == 2 and all(_is_number(end) for end in value)
    if not pair or not low <= value[0] <= value[1] <= high:  # type: ignore[index]
        shown = list(value) if isinstance(value, tuple) else value
        raise ValueError(
            f"{name} must be two numbers from {low:g} to {high:g}, the smaller first, is {shown!r}"
        )


def replay(transform: BaseWaveformTransform, samples: Samples, **parameters: Any) -> Samples:
    """`transform` of audiomentations with its `parameters` given: its global generator stays unused."""
    transform.parameters = {"should_apply": True, **parameters}
    transform.freeze_parameters()
    return np.asarray(transform(samples, SAMPLE_RATE), np.float32)


def rms(samples: Samples) -> float:
    """Root mean square of `samples`."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Result types: `Analysis` of a recording, its `Segment`s, and how they are made from probabilities.

Every output of the program (JSON, tables, page, exports) is made from `Analysis`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ser_core.audio.quality import Quality
from ser_core.emotions import BY_NAME, NO_SPEECH, UNKNOWN, UNREADABLE
from ser_core.errors import AudioError

SCHEMA = 1  # of the JSON in docs/programs.md; raised when a field changes its meaning


@dataclass(frozen=True)
class Verdict:
    """The emotion of a stretch of speech, with the probability of every class."""

    label: str  # an emotion, `unknown`, `no_speech`, or `error` where nothing could be read
    confidence: float  # probability of the most probable emotion, 0 to 1
    probabilities: Mapping[str, float]  # every class of the model; sums to 1, or empty without speech


@dataclass(frozen=True)
class Segment(Verdict):
    """One stretch of speech and its emotion. Times in seconds from the start of the recording."""

    start: float
    end: float
    valence: float  # expected value under the probabilities, -1 to 1
    arousal: float  # expected value under the probabilities, -1 to 1


@dataclass(frozen=True)
class Analysis:
    """The result for one recording: quality, segments and summary, or the error that prevented them."""

    source: str  # file name as given
    duration: float  # s
    model_name: str
    model_version: str
    quality: Quality | None = None  # None where the file could not be read
    segments: tuple[Segment, ...] = ()
    summary: Verdict = field(default_factory=lambda: Verdict(NO_SPEECH, 0.0, {}))
    error: AudioError | None = None

    def __post_init__(self) -> None:
        if self.error:  # nothing is known of it, not even that nobody speaks
            object.__setattr__(self, "summary", Verdict(UNREADABLE, 0.0, {}))


def verdict(probabilities: Mapping[str, float], threshold: float) -> Verdict:
    """The most probable emotion, or `unknown` if its probability is below `threshold` (0 to 1)."""
    best = max(probabilities, key=lambda name: probabilities[name])
    confidence = probabilities[best]
    return Verdict(best if confidence >= threshold else UNKNOWN, confidence, dict(probabilities))


def make_segment(start: float, end: float, probabilities: Mapping[str, float], threshold: float) -> Segment:
    """A `Segment` from its start and end in seconds and the class probabilities (sum 1).

    Valence and arousal are expected values under `probabilities`.
    """
    overall = verdict(probabilities, threshold)
    return Segment(
        label=overall.label,
        confidence=overall.confidence,
        probabilities=overall.probabilities,
        start=start,
        end=end,
        valence=sum(p * BY_NAME[name].valence for name, p in probabilities.items()),
        arousal=sum(p * BY_NAME[name].arousal for name, p in probabilities.items()),
    )


def summarise(segments: Sequence[Segment], threshold: float) -> Verdict:
    """The verdict on a whole recording: segment probabilities averaged, weighted by duration.

    `no_speech` if there are no segments.
    """
    total = sum(segment.end - segment.start for segment in segments)
    if not total:
        return Verdict(NO_SPEECH, 0.0, {})
    names = segments[0].probabilities
    mean = {name: sum((s.end - s.start) * s.probabilities[name] for s in segments) / total for name in names}
    return verdict(mean, threshold)

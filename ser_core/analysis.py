"""Result types: `Analysis` of a recording, its `Segment`s, and how they are made from probabilities.

Every output of the program (JSON, tables, page, exports) is made from `Analysis`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ser_core.audio.quality import Quality
from ser_core.emotions import BY_NAME, NO_SPEECH, UNKNOWN, UNREADABLE
from ser_core.errors import AudioError

SCHEMA = 2  # of the JSON in docs/programs.md; raised when a field is added or changes its meaning
UNSURE_VOICE = "?"  # of a segment about equally near to two voices, or of music and noise: it belongs to none


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
    voice: str | None = (
        None  # "A", "B", … in order of appearance, or "?"; None where voices were not told apart
    )
    channel: int | None = None  # from 1, where the channels were heard apart; each of them is a voice
    overlap: bool = False  # two voices at once are heard in most of it
    # Probability of every class where nothing but the segment is heard; not part of the exports.
    by_itself: Mapping[str, float] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Voice:
    """One of the voices that were told apart in a recording, and how it sounds."""

    name: str  # as in `Segment.voice`
    channel: int | None  # as in `Segment.channel`
    time: float  # s that it speaks
    shares: Mapping[str, float]  # of its time by label, longest first; they sum to 1
    summary: Verdict
    trail: tuple[tuple[float, float, float], ...]  # middle of each segment in s, its valence and arousal


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
    voices: tuple[Voice, ...] = ()  # in order of appearance; empty where voices were not told apart

    def __post_init__(self) -> None:
        if self.error:  # nothing is known of it, not even that nobody speaks
            object.__setattr__(self, "summary", Verdict(UNREADABLE, 0.0, {}))

    @property
    def has_voices(self) -> bool:
        """Whether more than one voice was told apart: else nothing needs to be said of voices."""
        return len(self.voices) > 1 or any(segment.voice == UNSURE_VOICE for segment in self.segments)


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


def voice_name(number: int) -> str:
    """The name of the voice with this number, from 0 in order of appearance.

    >>> voice_name(0), voice_name(25), voice_name(26), voice_name(39)
    ('A', 'Z', 'AA', 'AN')
    """
    letter = chr(ord("A") + number % 26)
    return letter if number < 26 else voice_name(number // 26 - 1) + letter


def voices_of(segments: Sequence[Segment], threshold: float) -> tuple[Voice, ...]:
    """Each voice of `segments` in order of appearance; `threshold` is that of the model, 0 to 1.

    A segment of an unsure voice counts for none, and one whose voice is None for none either.
    """
    by_name: dict[str, list[Segment]] = {}
    for segment in sorted(segments, key=lambda segment: segment.start):
        if segment.voice not in (None, UNSURE_VOICE):
            by_name.setdefault(str(segment.voice), []).append(segment)
    return tuple(_voice(name, own, threshold) for name, own in by_name.items())


def speaking_time(segments: Sequence[Segment]) -> dict[str, float]:
    """Speaking time of each label in seconds, longest first."""
    seconds: dict[str, float] = {}
    for segment in segments:
        seconds[segment.label] = seconds.get(segment.label, 0.0) + segment.end - segment.start
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _voice(name: str, segments: Sequence[Segment], threshold: float) -> Voice:
    seconds = speaking_time(segments)
    total = sum(seconds.values())
    return Voice(
        name=name,
        channel=segments[0].channel,
        time=total,
        shares={label: length / total for label, length in seconds.items()},
        summary=summarise(segments, threshold),
        trail=tuple(((one.start + one.end) / 2, one.valence, one.arousal) for one in segments),
    )

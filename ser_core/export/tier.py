"""Segments as intervals of annotation tiers, one for each voice: whole milliseconds, no overlap in a tier."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ser_core.analysis import UNSURE_VOICE, Analysis, Segment
from ser_core.export.text import TIME_DIGITS

MS = 1000  # per second


@dataclass(frozen=True)
class Interval:
    """A segment's place on a tier, in ms from the start of the recording."""

    start_ms: int
    end_ms: int
    segment: Segment


def single_analysis(analyses: Sequence[Analysis]) -> Analysis:
    """The only analysis, for formats that hold one recording per file; ValueError for another number."""
    if len(analyses) != 1:
        raise ValueError(f"this format holds one recording a file, not {len(analyses)}")
    return analyses[0]


def duration_ms(analysis: Analysis) -> int:
    """Length of the recording in ms, rounded."""
    return _ms(analysis.duration)


def tiers(analysis: Analysis) -> dict[str, list[Interval]]:
    """The intervals of each voice by its name, in order of appearance, `?` last.

    A recording in which no voices were told apart has one tier, named "". The intervals of a tier are in
    order, cut where the next starts and where the recording ends; there are no empty ones.
    """
    if not analysis.has_voices:
        return {"": _tier(analysis.segments, duration_ms(analysis))}
    names = [*(voice.name for voice in analysis.voices), UNSURE_VOICE]
    found = {name: [one for one in analysis.segments if one.voice == name] for name in names}
    return {name: _tier(own, duration_ms(analysis)) for name, own in found.items() if own}


def intervals(analysis: Analysis) -> list[Interval]:
    """The intervals of all tiers, in order of their start."""
    every = [(item.start_ms, voice, item) for voice, tier in tiers(analysis).items() for item in tier]
    return [item for _, _, item in sorted(every, key=lambda entry: entry[:2])]


def _tier(segments: Sequence[Segment], length_ms: int) -> list[Interval]:
    segments = sorted(segments, key=lambda segment: (segment.start, segment.end))
    result = []
    for segment, following in zip_longest(segments, segments[1:]):
        limit_ms = min(length_ms, _ms(following.start)) if following else length_ms
        start_ms, end_ms = max(_ms(segment.start), 0), min(_ms(segment.end), limit_ms)
        if start_ms < end_ms:
            result.append(Interval(start_ms, end_ms, segment))
    return result


def _ms(seconds: float) -> int:
    """`seconds` in ms, rounded as the JSON rounds it.

    >>> _ms(1.8765)
    1877
    """
    return round(round(seconds, TIME_DIGITS) * MS)

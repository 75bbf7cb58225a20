"""Segments as intervals of an annotation tier: whole milliseconds, in order, without overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ser_core.analysis import Analysis, Segment
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


def intervals(analysis: Analysis) -> list[Interval]:
    """The segments in order, cut where the next starts and where the recording ends; without empty ones."""
    segments = sorted(analysis.segments, key=lambda segment: (segment.start, segment.end))
    length_ms = duration_ms(analysis)
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

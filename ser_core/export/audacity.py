"""Audacity labels: one line per segment with start, end, and voice and emotion, separated by tabs.

The voice stands before the emotion where several were told apart.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from collections.abc import Sequence

from ser_core.analysis import Analysis, Segment
from ser_core.export.text import printable
from ser_core.export.tier import MS, intervals, single_analysis

DIGITS = 6  # as Audacity writes seconds


def dumps(analyses: Sequence[Analysis]) -> str:
    """One analysis as labels, times in s; ValueError for another number of analyses."""
    analysis = single_analysis(analyses)
    return "".join(
        f"{item.start_ms / MS:.{DIGITS}f}\t{item.end_ms / MS:.{DIGITS}f}\t"
        f"{spoken_by(analysis, item.segment)}{item.segment.label}\n"
        for item in intervals(analysis)
    )


def spoken_by(analysis: Analysis, segment: Segment) -> str:
    """The voice of a segment and a colon, on one line; empty where none were told apart."""
    return f"{printable(str(segment.voice))}: " if analysis.has_voices else ""

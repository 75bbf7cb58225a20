"""Audacity labels: start, end and emotion, a line a segment, between tabs.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from collections.abc import Sequence

from ser_core.analysis import Analysis
from ser_core.export.tier import MS, intervals, the_one

DIGITS = 6  # as Audacity writes seconds


def dumps(analyses: Sequence[Analysis]) -> str:
    """The one analysis as labels, times in s; ValueError where there are more."""
    return "".join(
        f"{item.start_ms / MS:.{DIGITS}f}\t{item.end_ms / MS:.{DIGITS}f}\t{item.segment.label}\n"
        for item in intervals(the_one(analyses))
    )

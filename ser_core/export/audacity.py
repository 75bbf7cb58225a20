"""Audacity labels: one line per segment with start, end and emotion, separated by tabs.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from collections.abc import Sequence

from ser_core.analysis import Analysis
from ser_core.export.tier import MS, intervals, single_analysis

DIGITS = 6  # as Audacity writes seconds


def dumps(analyses: Sequence[Analysis]) -> str:
    """One analysis as labels, times in s; ValueError for another number of analyses."""
    return "".join(
        f"{item.start_ms / MS:.{DIGITS}f}\t{item.end_ms / MS:.{DIGITS}f}\t{item.segment.label}\n"
        for item in intervals(single_analysis(analyses))
    )

"""Praat TextGrid, long text form: the tiers `emotion` and `confidence`, gaps as empty intervals.

https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

from collections.abc import Sequence

from praatio.utilities import textgrid_io

from ser_core.analysis import Analysis
from ser_core.export.text import PROBABILITY_DIGITS
from ser_core.export.tier import MS, duration_ms, intervals, single_analysis


def dumps(analyses: Sequence[Analysis]) -> str:
    """One analysis as a TextGrid; ValueError for another number of analyses.

    Praat allows no duration of zero: a recording that could not be read has one empty millisecond.
    """
    analysis = single_analysis(analyses)
    end = max(duration_ms(analysis), 1) / MS
    entries = [(item.start_ms / MS, item.end_ms / MS, item.segment) for item in intervals(analysis)]
    columns = {
        "emotion": [(start, stop, segment.label) for start, stop, segment in entries],
        "confidence": [
            (start, stop, f"{segment.confidence:.{PROBABILITY_DIGITS}f}") for start, stop, segment in entries
        ],
    }
    tiers = [
        {"class": "IntervalTier", "name": name, "xmin": 0.0, "xmax": end, "entries": column}
        for name, column in columns.items()
    ]
    grid = {"xmin": 0.0, "xmax": end, "tiers": tiers}
    text: str = textgrid_io.getTextgridAsStr(grid, "long_textgrid", includeBlankSpaces=True)
    return text

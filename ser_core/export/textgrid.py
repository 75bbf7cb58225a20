"""Praat TextGrid, long text form: the tiers `emotion` and `confidence`, gaps as empty intervals.

https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

from collections.abc import Sequence

from praatio.utilities import textgrid_io

from ser_core.analysis import Analysis
from ser_core.export.text import PROBABILITY_DIGITS
from ser_core.export.tier import MS, duration_ms, intervals, the_one


def dumps(analyses: Sequence[Analysis]) -> str:
    """The one analysis as a TextGrid; ValueError where there are more.

    Praat knows no empty time: a recording that could not be read has an empty millisecond.
    """
    analysis = the_one(analyses)
    end = max(duration_ms(analysis), 1) / MS
    found = [(item.start_ms / MS, item.end_ms / MS, item.segment) for item in intervals(analysis)]
    columns = {
        "emotion": [(start, stop, segment.label) for start, stop, segment in found],
        "confidence": [
            (start, stop, f"{segment.confidence:.{PROBABILITY_DIGITS}f}") for start, stop, segment in found
        ],
    }
    tiers = [
        {"class": "IntervalTier", "name": name, "xmin": 0.0, "xmax": end, "entries": entries}
        for name, entries in columns.items()
    ]
    grid = {"xmin": 0.0, "xmax": end, "tiers": tiers}
    text: str = textgrid_io.getTextgridAsStr(grid, "long_textgrid", includeBlankSpaces=True)
    return text

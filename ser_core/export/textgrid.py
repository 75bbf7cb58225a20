"""Praat TextGrid, long text form: the tiers `emotion` and `confidence`, gaps as empty intervals.

Where several voices were told apart, each has both tiers, with its name before theirs.

https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

from collections.abc import Sequence

from praatio.utilities import textgrid_io

from ser_core.analysis import Analysis
from ser_core.export.text import PROBABILITY_DIGITS, printable
from ser_core.export.tier import MS, duration_ms, single_analysis, tiers


def dumps(analyses: Sequence[Analysis]) -> str:
    """One analysis as a TextGrid; ValueError for another number of analyses.

    Praat allows no duration of zero: a recording that could not be read has one empty millisecond.
    """
    analysis = single_analysis(analyses)
    end = max(duration_ms(analysis), 1) / MS
    columns = {}
    for voice, tier in tiers(analysis).items():
        entries = [(item.start_ms / MS, item.end_ms / MS, item.segment) for item in tier]
        columns[f"{printable(voice)} emotion".lstrip()] = [
            (start, stop, segment.label) for start, stop, segment in entries
        ]
        columns[f"{printable(voice)} confidence".lstrip()] = [
            (start, stop, f"{segment.confidence:.{PROBABILITY_DIGITS}f}") for start, stop, segment in entries
        ]
    grid = {
        "xmin": 0.0,
        "xmax": end,
        "tiers": [
            {"class": "IntervalTier", "name": name, "xmin": 0.0, "xmax": end, "entries": column}
            for name, column in columns.items()
        ],
    }
    text: str = textgrid_io.getTextgridAsStr(grid, "long_textgrid", includeBlankSpaces=True)
    return text

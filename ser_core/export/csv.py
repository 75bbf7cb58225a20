"""CSV (RFC 4180), one row per segment, for spreadsheets and data frames.

A recording without speech has one row with the label `no_speech`; one that could not be read has one row with
the error's code as its label. Rows without a segment leave the numbers empty.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from ser_core.analysis import Analysis
from ser_core.emotions import LABELS
from ser_core.export.text import PROBABILITY_DIGITS, TIME_DIGITS, printable, utf8

COLUMNS = (
    "source",
    "start",
    "end",
    "label",
    "confidence",
    "valence",
    "arousal",
    *LABELS,
    "voice",
    "channel",
    "overlap",
)
# A spreadsheet takes a cell that starts with one of these for a formula; OWASP advises an apostrophe first.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def dumps(analyses: Sequence[Analysis]) -> str:
    """A header and one row per segment; times in s, lines end in CRLF."""
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS)
    rows.writeheader()
    for analysis in analyses:
        rows.writerows(_rows(analysis))
    return text.getvalue()


def _rows(analysis: Analysis) -> Iterator[dict[str, str]]:
    source = inert(utf8(analysis.source))
    if not analysis.segments:
        label = analysis.error.code if analysis.error else analysis.summary.label
        yield {"source": source, "label": label}
    for segment in analysis.segments:
        probabilities = {"confidence": segment.confidence, **segment.probabilities}
        affect = {"valence": segment.valence, "arousal": segment.arousal}
        yield {
            "source": source,
            "start": f"{segment.start:.{TIME_DIGITS}f}",
            "end": f"{segment.end:.{TIME_DIGITS}f}",
            "label": segment.label,
            "voice": inert(printable(segment.voice or "")),
            "channel": str(segment.channel or ""),
            "overlap": "true" if segment.overlap else "false",
            **{
                name: f"{value:.{PROBABILITY_DIGITS}f}" for name, value in {**probabilities, **affect}.items()
            },
        }


def inert(cell: str) -> str:
    """`cell`, with an apostrophe before it if a spreadsheet would take it for a formula."""
    return "'" + cell if cell.startswith(FORMULA_STARTS) else cell

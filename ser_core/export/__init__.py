"""Export formats, one module each. A writer takes analyses and returns the whole text of the file."""

from collections.abc import Callable, Mapping, Sequence

from ser_core.analysis import Analysis
from ser_core.export import audacity, csv, eaf, html, json, rttm, textgrid, vtt

WRITERS: Mapping[str, Callable[[Sequence[Analysis]], str]] = {
    "json": json.dumps,
    "csv": csv.dumps,
    "textgrid": textgrid.dumps,
    "eaf": eaf.dumps,
    "audacity": audacity.dumps,
    "vtt": vtt.dumps,
    "rttm": rttm.dumps,
    "html": html.dumps,
}
# Formats that hold one recording per file; their writers take exactly one analysis.
ONE_RECORDING = frozenset({"textgrid", "eaf", "audacity", "vtt"})
# File extensions that differ from the name of the format.
EXTENSIONS = {"textgrid": "TextGrid", "audacity": "txt"}

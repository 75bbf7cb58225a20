"""Writers of analyses, one format a file; a writer takes analyses and returns the whole text."""

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
# Formats that hold one recording a file; their writers take one analysis.
ONE_RECORDING = frozenset({"textgrid", "eaf", "audacity", "vtt"})
# What their files' names end in, where it is not the format's own name.
EXTENSIONS = {"textgrid": "TextGrid", "audacity": "txt"}

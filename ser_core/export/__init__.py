"""Export formats, one module each. A writer takes analyses and returns the whole text of the file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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


def text_of(format_: str, analyses: Sequence[Analysis], target: Path | None) -> str:
    """The text of the file `target`, or of stdout if None, whose reader is taken to be in this folder.

    Formats that link to the recording link to where it is, seen from there; `WRITERS` link to its name.
    """
    if format_ == "eaf":
        return eaf.dumps(analyses, target.parent if target else Path())
    return WRITERS[format_](analyses)

"""Records which recordings a run of `analyze` has finished, beside its results, until the run ends."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ser_core.analysis import Analysis, Segment, Verdict, Voice
from ser_core.audio.quality import Quality
from ser_core.commands.journal import Entry, Journal
from ser_core.errors import AudioError


class Notes:
    """Finished analyses by path of the recording; a recording that has changed since counts as new."""

    def __init__(self, path: Path, heading: Entry, resume: bool) -> None:
        """As `Journal`."""
        self.path = path
        self._journal = Journal(path, heading, resume)
        self._entries = {entry["path"]: entry for entry in self._journal.entries}

    def get(self, path: str) -> Analysis | None:
        """The stored analysis of the recording at `path`; None if there is none or the file has changed."""
        entry = self._entries.get(path)
        return _analysis(entry["analysis"]) if entry and entry["stamp"] == _stamp(path) else None

    def add(self, path: str, analysis: Analysis) -> None:
        """Stores the analysis of the recording at `path`; OSError if it cannot be written."""
        self._journal.add({"path": path, "stamp": _stamp(path), "analysis": _values(analysis)})

    def end(self, keep: bool) -> None:
        """Ends the run. With `keep`, the notes stay and a later run analyses only new recordings."""
        if keep:
            self._journal.close()
        else:
            self._journal.discard()


def _stamp(path: str) -> list[int] | None:
    """Size and modification time of a file, which show whether it has changed; None without a file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return [status.st_size, status.st_mtime_ns]


def _values(analysis: Analysis) -> dict[str, Any]:
    """`analysis` as values for JSON, without rounding."""
    error = analysis.error
    return asdict(replace(analysis, error=None)) | {"error": error and [error.code, error.message]}


def _analysis(values: Mapping[str, Any]) -> Analysis:
    """The analysis from the result of `_values`."""
    quality, error = values["quality"], values["error"]
    return Analysis(
        **{
            **values,
            "quality": quality and Quality(**{**quality, "warnings": tuple(quality["warnings"])}),
            "segments": tuple(Segment(**segment) for segment in values["segments"]),
            "summary": Verdict(**values["summary"]),
            "voices": tuple(map(_voice, values["voices"])),
            "error": error and AudioError(*error),
        }
    )


def _voice(values: Mapping[str, Any]) -> Voice:
    summary, trail = Verdict(**values["summary"]), tuple(map(tuple, values["trail"]))
    return Voice(**{**values, "summary": summary, "trail": trail})

"""Which recordings a run of `analyze` is done with, kept beside its results until it ends."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ser_core.analysis import Analysis, Segment, Verdict
from ser_core.audio.quality import Quality
from ser_core.commands.journal import Entry, Journal
from ser_core.errors import AudioError


class Notes:
    """What is known of recordings by their path; one that was changed since is not known any more."""

    def __init__(self, path: Path, heading: Entry, resume: bool) -> None:
        """As `Journal`."""
        self.path = path
        self._journal = Journal(path, heading, resume)
        self._known = {entry["path"]: entry for entry in self._journal.entries}

    def get(self, path: str) -> Analysis | None:
        """The analysis that was noted of the recording at `path`; None where there is none of it as it is."""
        entry = self._known.get(path)
        return _analysis(entry["analysis"]) if entry and entry["stamp"] == _stamp(path) else None

    def add(self, path: str, analysis: Analysis) -> None:
        """Notes that the recording at `path` is done; OSError where that cannot be written."""
        self._journal.add({"path": path, "stamp": _stamp(path), "analysis": _values(analysis)})

    def end(self, keep: bool) -> None:
        """The run is over; with `keep` a later one will do only what is new."""
        if keep:
            self._journal.close()
        else:
            self._journal.discard()


def _stamp(path: str) -> list[int] | None:
    """What tells whether a file was changed: its size, and when it was written; None without a file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return [found.st_size, found.st_mtime_ns]


def _values(analysis: Analysis) -> dict[str, Any]:
    """`analysis` as JSON holds it, to the last digit."""
    error = analysis.error
    return asdict(replace(analysis, error=None)) | {"error": error and [error.code, error.message]}


def _analysis(values: Mapping[str, Any]) -> Analysis:
    """What `_values` made values of."""
    quality, error = values["quality"], values["error"]
    return Analysis(
        **{
            **values,
            "quality": quality and Quality(**{**quality, "warnings": tuple(quality["warnings"])}),
            "segments": tuple(Segment(**segment) for segment in values["segments"]),
            "summary": Verdict(**values["summary"]),
            "error": error and AudioError(*error),
        }
    )

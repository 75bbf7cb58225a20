"""Notes of what is done, so that work that was killed can go on: lines of JSON, each whole or not there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ser_core.errors import CodedError

Entry = Mapping[str, Any]


class JournalError(CodedError):
    """Notes that cannot be gone on with."""


class Journal:
    """A file of entries behind a heading that says what work they are of.

    An entry is handed to the system at once, so it outlives the process. A line that was being written when
    the process died is dropped when the file is opened again.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "notes", {"model": "default"})
    ...     journal.add({"done": 1})
    ...     again = Journal(Path(folder) / "notes", {"model": "default"})
    ...     again.entries
    [{'done': 1}]
    """

    def __init__(self, path: Path, heading: Entry, resume: bool = True) -> None:
        """Opens the notes at `path`, or begins them; without `resume` what is there is thrown away.

        Raises JournalError with code `other_work` where what is there has another heading, and OSError.
        """
        self.path = path
        kept, found = _read(path) if resume and path.exists() else (0, [])
        if found and found[0] != heading:
            was, wanted = (", ".join(f"{k} {v}" for k, v in sorted(e.items())) for e in (found[0], heading))
            raise JournalError(
                "other_work",
                f"{path.parent} holds the results of other work ({was}), which cannot be gone on with here "
                f"({wanted}): ask for the same again, or write to another place",
            )
        self.entries: list[Entry] = found[1:]
        self._file: BinaryIO = path.open("ab")
        if self._file.tell() > kept:
            self._file.truncate(kept)
        if not found:
            self.add(heading)

    def add(self, entry: Entry) -> None:
        """Writes `entry` behind the others; it is on its way to the disk when this returns."""
        self._file.write(json.dumps(entry).encode("ascii") + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Writes no more; the notes stay."""
        self._file.close()

    def discard(self) -> None:
        """Removes the notes: the work is finished."""
        self.close()
        self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[int, list[Entry]]:
    """How many bytes of the file are whole lines, and what these say."""
    text = path.read_bytes()
    kept = text.rfind(b"\n") + 1
    try:
        return kept, [json.loads(line) for line in text[:kept].splitlines()]
    except ValueError:
        raise JournalError(
            "bad_notes", f"{path} was changed and cannot be gone on with: remove it, which begins anew"
        ) from None

"""Notes of what is done, so that work that was killed can go on: lines of JSON, each whole or not there."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ser_core.errors import CodedError

try:
    import fcntl
except ImportError:  # Windows: there two runs at once into one place are the caller's to avoid
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)
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
    ...     journal.close()
    ...     again = Journal(Path(folder) / "notes", {"model": "default"})
    ...     again.entries
    [{'done': 1}]
    """

    def __init__(self, path: Path, heading: Entry, resume: bool = True) -> None:
        """Opens the notes at `path`, or begins them; without `resume` what is there is thrown away.

        Raises JournalError with code `other_work` where what is there has another heading, `in_use` while
        another process has it open, `bad_notes` where it cannot be read; and OSError.
        """
        self.path = path
        self._file: BinaryIO = path.open("ab")
        try:
            self._lock()
            kept, found = _read(path) if resume else (0, [])
            if found and found[0] != heading:
                raise _other_work(path, found[0], heading)
        except JournalError:
            self._file.close()
            raise
        self.entries: list[Entry] = found[1:]
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
        self.path.unlink(missing_ok=True)
        self.close()

    def _lock(self) -> None:
        """Keeps other processes away until this one closes the file or dies."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                "in_use", f"{self.path.parent} is being written to by another run: wait until it has ended"
            ) from None
        except OSError:
            log.warning("%s is on a drive without locks: do not run this twice at once", self.path.parent)


def _other_work(path: Path, was: Entry, wanted: Entry) -> JournalError:
    there, here = (", ".join(f"{key} {entry[key]}" for key in sorted(entry)) for entry in (was, wanted))
    return JournalError(
        "other_work",
        f"{path.parent} holds the results of other work ({there}), which cannot be gone on with "
        f"here ({here}): ask for the same again, or write to another place",
    )


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

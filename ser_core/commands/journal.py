"""Records finished work in a file of JSON lines, so that a run that was killed can be resumed."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ser_core.errors import CodedError

try:
    import fcntl
except ImportError:  # Windows: no lock, so the caller must not run twice at once
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)
Entry = Mapping[str, Any]


class JournalError(CodedError):
    """A journal with which work cannot be resumed."""


class Journal:
    """A file with a heading, which describes the work, and entries.

    An entry is written to the system at once, so it survives the process. A line that is incomplete because
    the process died is dropped when the file is opened again.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "notes", {"model": "default"})
    ...     journal.add({"done": 1})
    ...     journal.close()
    ...     reopened = Journal(Path(folder) / "notes", {"model": "default"})
    ...     reopened.entries
    [{'done': 1}]
    """

    def __init__(self, path: Path, heading: Entry, resume: bool = True) -> None:
        """Opens or creates the journal at `path`; without `resume` existing entries are deleted.

        Raises JournalError with code `other_work` if the existing heading differs, `in_use` while another
        process has the file open, `bad_notes` if it cannot be read; and OSError.
        """
        self.path = path
        self._file: BinaryIO = path.open("ab")
        try:
            self._lock()
            size, lines = _read(path) if resume else (0, [])
            if lines and lines[0] != heading:
                raise _other_work(path, lines[0], heading)
        except JournalError:
            self._file.close()
            raise
        self.entries: list[Entry] = lines[1:]
        if self._file.tell() > size:
            self._file.truncate(size)
        if not lines:
            self.add(heading)

    def add(self, entry: Entry) -> None:
        """Appends `entry`; it is flushed to the system when this returns."""
        self._file.write(json.dumps(entry).encode("ascii") + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file, which stays."""
        self._file.close()

    def discard(self) -> None:
        """Deletes the file, when the work is finished."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _lock(self) -> None:
        """Locks the file until this process closes it or ends."""
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


def _other_work(path: Path, existing: Entry, heading: Entry) -> JournalError:
    there, here = (", ".join(f"{key} {entry[key]}" for key in sorted(entry)) for entry in (existing, heading))
    return JournalError(
        "other_work",
        f"{path.parent} holds the results of other work ({there}), which cannot be gone on with "
        f"here ({here}): ask for the same again, or write to another place",
    )


def _read(path: Path) -> tuple[int, list[Entry]]:
    """The size of the complete lines of the file in bytes, and their content."""
    text = path.read_bytes()
    size = text.rfind(b"\n") + 1
    try:
        return size, [json.loads(line) for line in text[:size].splitlines()]
    except ValueError:
        raise JournalError(
            "bad_notes", f"{path} was changed and cannot be gone on with: remove it, which begins anew"
        ) from None

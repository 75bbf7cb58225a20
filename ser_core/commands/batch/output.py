"""The folder an archive's results go to: Parquet files, each whole or not there, and what they are of."""

import os
from collections.abc import Mapping
from pathlib import Path

from ser_core.commands.batch.engines import Part
from ser_core.commands.journal import Journal
from ser_core.errors import CodedError

MANIFEST = "_manifest.jsonl"  # readers of Parquet folders skip names that start with an underscore


class OutputError(CodedError):
    """A folder that results cannot go to."""


class Output:
    """Parts come into the folder by renaming, and into the manifest after that; one process writes.

    A part that is not in the manifest is of a run that was killed between the two. Its chunk is worked on
    again, perhaps divided otherwise, so it is removed.
    """

    def __init__(self, folder: Path, work: Mapping[str, str]) -> None:
        """Opens `folder` for results of `work`, which says what makes results alike.

        Raises OutputError with code `not_ours`, JournalError where it holds results of other work, OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MANIFEST).exists() and any(folder.glob("*.parquet")):
            raise OutputError(
                "not_ours", f"{folder} holds Parquet files that are not of this command: name another folder"
            )
        self._folder = folder
        self._manifest = Journal(folder / MANIFEST, work)
        entries = self._manifest.entries
        self.done = {source for entry in entries for source in entry["sources"]}
        self.failed = sum(entry["failed"] for entry in entries)
        known = {entry["part"] for entry in entries}
        for path in [*folder.glob("part-*.parquet"), *folder.glob(".part-*.partial")]:
            if path.name not in known:
                path.unlink()

    def add(self, part: Part) -> None:
        """Puts `part` into the folder; OSError where that is impossible."""
        partial = self._folder / f".{part.name}.partial"
        partial.write_bytes(part.table)
        os.replace(partial, self._folder / part.name)
        self._manifest.add(
            {"part": part.name, "failed": part.failed, "seconds": part.seconds, "sources": part.sources}
        )
        self.done.update(part.sources)
        self.failed += part.failed

    def close(self) -> None:
        """Adds no more."""
        self._manifest.close()

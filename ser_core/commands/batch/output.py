"""The output folder of `batch`: Parquet files, each complete or absent, and a manifest of them."""

import os
from collections.abc import Mapping
from pathlib import Path

from ser_core.commands.batch.engines import Part
from ser_core.commands.journal import Journal
from ser_core.errors import CodedError

MANIFEST = "_manifest.jsonl"  # readers of Parquet folders skip names that start with an underscore


class OutputError(CodedError):
    """A folder that cannot be used for the output."""


class Output:
    """An output folder with its manifest. Only one process writes to it.

    A part is moved into the folder by renaming, then added to the manifest. A part that is not in the
    manifest is from a run that was killed in between. It is removed, and its recordings are processed again.
    """

    def __init__(self, folder: Path, work: Mapping[str, str]) -> None:
        """Opens `folder` for results of `work`: the model and versions that all results must share.

        Raises OutputError with code `not_ours`, JournalError if it holds results of other work, OSError.
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
        part_names = {entry["part"] for entry in entries}
        for path in [*folder.glob("part-*.parquet"), *folder.glob(".part-*.partial")]:
            if path.name not in part_names:
                path.unlink()

    def add(self, part: Part) -> None:
        """Writes `part` to the folder and adds it to the manifest; OSError if that fails."""
        partial = self._folder / f".{part.name}.partial"
        partial.write_bytes(part.table)
        os.replace(partial, self._folder / part.name)
        self._manifest.add(
            {"part": part.name, "failed": part.failed, "seconds": part.seconds, "sources": part.sources}
        )
        self.done.update(part.sources)
        self.failed += part.failed

    def close(self) -> None:
        """Closes the manifest."""
        self._manifest.close()

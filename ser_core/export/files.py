"""Paths of result files, and writing them atomically."""

import os
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 to `path` atomically: a reader gets the old file or the complete new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(text.encode("utf-8"))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(paths: Sequence[Path]) -> None:
    """Removes temporary files of processes that were killed while they wrote to `paths`."""
    names = {path.name for path in paths}
    for folder in {path.parent for path in paths}:
        for partial in folder.glob(".*.*.partial"):
            if partial.name[1:].rsplit(".", 2)[0] in names:
                partial.unlink(missing_ok=True)


def is_folder(out: str) -> bool:
    """Whether `out` is a folder with a file per recording: it exists as a folder, or has no extension."""
    return os.path.isdir(out) or out.endswith(os.sep) or not Path(out).suffix


def targets(out: str, sources: Sequence[str], extension: str) -> list[Path]:
    """The output file of each source: `out` itself for all, or one file each if `out` is a folder.

    In a folder, results have the same relative paths as their sources below their common folder. The
    extension is added to that of the source, so that `a.wav` and `a.flac` get different files.

    >>> [path.as_posix() for path in targets("out.json", ["x/1.wav", "y/1.wav"], "json")]
    ['out.json', 'out.json']
    >>> [path.as_posix() for path in targets("out", ["x/1.wav", "y/1.wav"], "json")]
    ['out/x/1.wav.json', 'out/y/1.wav.json']
    """
    if not is_folder(out):
        return [Path(out)] * len(sources)
    absolute = [os.path.abspath(source) for source in sources]
    root = os.path.commonpath([os.path.dirname(path) for path in absolute])
    return [Path(out) / f"{os.path.relpath(path, root)}.{extension}" for path in absolute]

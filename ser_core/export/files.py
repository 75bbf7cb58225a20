"""Where results go on disk."""

import os
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 to `path` at once: whoever reads it sees the old file or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(text.encode("utf-8"))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sweep(paths: Sequence[Path]) -> None:
    """Removes what processes left that were killed while they wrote to `paths`."""
    names = {path.name for path in paths}
    for folder in {path.parent for path in paths}:
        for partial in folder.glob(".*.*.partial"):
            if partial.name[1:].rsplit(".", 2)[0] in names:
                partial.unlink(missing_ok=True)


def is_folder(out: str) -> bool:
    """Whether `out` is to hold a file for each recording: it is a folder already, or has no extension."""
    return os.path.isdir(out) or out.endswith(os.sep) or not Path(out).suffix


def targets(out: str, sources: Sequence[str], extension: str) -> list[Path]:
    """The file each source's results go to: `out` itself for all, or one each where `out` is a folder.

    In a folder the results lie as their sources lie under what these have in common; the extension is added
    to theirs, so that `a.wav` and `a.flac` stay apart.

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

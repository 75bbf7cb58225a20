"""Paths of result files, and writing them atomically."""

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

PARTIAL = "partial"  # extension of temporary files
MAX_NAME_BYTES = 100  # longer names are replaced by a digest in the names of hidden files
# Errors of the drive, not of one file: no other file could be written there either.
DRIVE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def write(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 to `path` atomically: a reader gets the old file or the complete new one."""
    partial = path.with_name(f".{_digest(path)}.{os.getpid()}.{PARTIAL}")  # short, whatever `path` is called
    try:
        partial.write_bytes(text.encode("utf-8"))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(paths: Sequence[Path]) -> None:
    """Removes temporary files of processes that were killed while they wrote to `paths`."""
    digests = {_digest(path) for path in paths}
    for folder in {path.parent for path in paths}:
        for partial in folder.glob(f".*.*.{PARTIAL}"):
            if partial.name.split(".")[1] in digests:
                partial.unlink(missing_ok=True)


def hidden(path: Path, extension: str) -> Path:
    """The hidden file that belongs to `path` and lies beside it; its name always fits if that of `path` does.

    >>> hidden(Path("results/all.json"), "progress").as_posix()
    'results/.all.json.progress'
    """
    name = path.name if len(os.fsencode(path.name)) <= MAX_NAME_BYTES else _digest(path)
    return path.with_name(f".{name}.{extension}")


def obstacle(path: Path) -> OSError | None:
    """Why no file can be written to `path`, as far as can be known beforehand; creates its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.lstat(path)  # fails for a name that is too long
    except FileNotFoundError:
        pass
    except OSError as error:
        return error
    if path.is_dir():
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path.parent, os.W_OK):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def _digest(path: Path) -> str:
    """Stands for the name of `path` in names that must stay short."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]


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

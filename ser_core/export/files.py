"""Where results go on disk."""

import os
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 under `path` at once: whoever reads it sees the old file or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(text.encode("utf-8"))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def mirror(sources: Sequence[str], folder: Path, extension: str) -> list[Path]:
    """A path in `folder` for each source, laid out as the sources lie under what they have in common.

    The extension is added, not put in place of the old one, so that `a.wav` and `a.flac` stay apart.

    >>> [str(path) for path in mirror(["x/a/1.wav", "x/b/1.wav"], Path("out"), "json")]
    ['out/a/1.wav.json', 'out/b/1.wav.json']
    """
    absolute = [os.path.abspath(source) for source in sources]
    root = os.path.commonpath([os.path.dirname(path) for path in absolute])
    return [folder / f"{os.path.relpath(path, root)}.{extension}" for path in absolute]

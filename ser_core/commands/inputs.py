"""Finds the recordings that a command line names: files, folders and patterns."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ser_core.errors import AudioError

# Extensions of the files that are read from a folder. A file that is named is read whatever its extension.
SUFFIXES = (
    *(".wav", ".wave", ".aif", ".aiff", ".au", ".caf", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".m4a", ".aac", ".wma", ".mka", ".mp4", ".mov", ".mkv", ".webm"),
)


@dataclass(frozen=True)
class Input:
    """One recording to analyse, or the reason why there is none at this path."""

    path: str  # as given, or under a folder as given
    error: AudioError | None = None


def expand(arguments: Sequence[str]) -> list[Input]:
    """The recordings that `arguments` name, in order, each once; folders recursively and sorted by name.

    A path that does not exist stays in the list: reading it gives the error.
    """
    items: dict[str, Input] = {}
    for argument in arguments:
        matches = [argument] if os.path.exists(argument) else sorted(glob.glob(argument, recursive=True))
        for match in matches or [argument]:
            for item in _walk(match) if os.path.isdir(match) else [Input(match)]:
                items.setdefault(os.path.abspath(item.path), item)
    return list(items.values())


def _walk(folder: str) -> Iterator[Input]:
    """The recordings under `folder`, without hidden files and folders, and an error if there are none."""
    errors: list[OSError] = []
    is_empty = True
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                is_empty = False
                yield Input(os.path.join(parent, name))
    for error in errors:
        message = f"this folder cannot be read ({error.strerror}): check its permissions"
        yield Input(str(error.filename), AudioError("no_permission", message))
    if is_empty and not errors:
        yield Input(folder, AudioError("not_found", f"no recordings in this folder ({' '.join(SUFFIXES)})"))

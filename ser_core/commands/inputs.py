"""Which recordings a command line names: files, folders and patterns."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ser_core.audio import formats
from ser_core.errors import AudioError

NO_SUFFIX = "without suffix"


@dataclass(frozen=True)
class Input:
    """One recording to analyse, or the reason why there is none at this path."""

    path: str  # as given, or under a folder as given
    error: AudioError | None = None


@dataclass(frozen=True)
class Inputs:
    """What a command line names, and what was left out of its folders."""

    items: list[Input] = field(default_factory=list)  # each once
    left_out: Counter[str] = field(default_factory=Counter)  # files that are no recordings, by suffix
    links: list[str] = field(default_factory=list)  # linked folders, which are not followed

    @property
    def remarks(self) -> list[str]:
        """What was left out, a line each."""
        lines = []
        if count := self.left_out.total():
            kinds = ", ".join(f"{suffix} {n}" for suffix, n in self.left_out.most_common())
            lines.append(f"{count} {'file was' if count == 1 else 'files were'} not looked at ({kinds})")
        lines += [f"{link}: a linked folder, which is not followed: name it as well" for link in self.links]
        return lines


def expand(arguments: Sequence[str]) -> Inputs:
    """The recordings `arguments` name, in their order, each once; folders recursively and sorted by name.

    A path that names nothing stays in the list: reading it says so. A file that is named is always taken, one
    in a folder where its name or its content is that of a recording. Hidden files and folders are left out.
    """
    inputs, items = Inputs(), dict[str, Input]()
    for argument in arguments:
        matches = [argument] if os.path.exists(argument) else sorted(glob.glob(argument, recursive=True))
        for match in matches or [argument]:
            for item in _in_folder(match, inputs) if os.path.isdir(match) else [Input(match)]:
                items.setdefault(os.path.abspath(item.path), item)
    inputs.items.extend(items.values())
    return inputs


def _in_folder(folder: str, inputs: Inputs) -> list[Input]:
    """The recordings under `folder`; what is left out is added to `inputs`."""
    items: list[Input] = []
    refused: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=refused.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [os.path.join(parent, name) for name in folders]
        inputs.links.extend(path for path in paths if os.path.islink(path) and path not in inputs.links)
        for name in sorted(name for name in names if not name.startswith(".")):
            path = os.path.join(parent, name)
            if formats.is_named_or_recording(path):
                items.append(Input(path))
            else:
                inputs.left_out[os.path.splitext(name)[1].lower() or NO_SUFFIX] += 1
    for error in refused:
        message = f"this folder cannot be read ({error.strerror}): check its permissions"
        items.append(Input(str(error.filename), AudioError("no_permission", message)))
    if not items:
        items.append(Input(folder, AudioError("not_found", "there are no recordings in this folder")))
    return items

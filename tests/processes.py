"""Child processes, from /proc (Linux)."""

from pathlib import Path

import pytest

PROC = Path("/proc")


def children(parent: int, command: str) -> list[int]:
    """The ids of running processes that `parent` started with `command` among their arguments."""
    if not PROC.is_dir():
        pytest.skip("needs /proc")
    return sorted(
        int(stat.parent.name) for stat in PROC.glob("[0-9]*/stat") if _is_child(stat, parent, command)
    )


def _is_child(stat: Path, parent: int, command: str) -> bool:
    """Whether the process of /proc/PID/stat runs `command`, started by `parent`."""
    try:
        while True:
            # The process's name, in parentheses, may contain anything.
            state, its_parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(its_parent) != parent or state == "Z":
                return False
            # A process that has just been started has no arguments for a moment.
            if arguments := stat.with_name("cmdline").read_bytes():
                return command in arguments.decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):  # the process has ended
        return False

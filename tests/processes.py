"""The processes a process started, as Linux tells them."""

from pathlib import Path

import pytest

PROC = Path("/proc")


def children(parent: int, command: str) -> list[int]:
    """The numbers of the running processes that `parent` started with `command` among their arguments."""
    if not PROC.is_dir():
        pytest.skip("needs /proc")
    return sorted(int(stat.parent.name) for stat in PROC.glob("[0-9]*/stat") if _is(stat, parent, command))


def _is(stat: Path, parent: int, command: str) -> bool:
    try:
        state, its_parent = (
            stat.read_text().rpartition(")")[2].split()[:2]
        )  # the name before may hold anything
        arguments = stat.with_name("cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):  # it has ended since
        return False
    return int(its_parent) == parent and state != "Z" and command in arguments

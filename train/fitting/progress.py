"""Saves and restores the state of a training loop, so that a killed run can resume."""

from pathlib import Path
from typing import Any

import torch


def restore(path: Path, parts: dict[str, Any]) -> int:
    """Loads the state of `parts` from `path`; returns the number of finished steps, 0 without a file."""
    if not path.is_file():
        return 0
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])
    return int(checkpoint["steps"])


def save(path: Path, parts: dict[str, Any], steps: int) -> None:
    """Writes the state of `parts` after `steps` steps to `path`, atomically."""
    partial = path.with_name(path.name + ".partial")
    torch.save({name: part.state_dict() for name, part in parts.items()} | {"steps": steps}, partial)
    partial.replace(path)

"""What a loop of training has reached, kept in its run's folder, so that a killed run goes on."""

from pathlib import Path
from typing import Any

import torch


def restore(path: Path, parts: dict[str, Any]) -> int:
    """Puts `parts` back as `path` keeps them; returns the steps they have done, 0 where there is none."""
    if not path.is_file():
        return 0
    kept = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return int(kept["steps"])


def save(path: Path, parts: dict[str, Any], steps: int) -> None:
    """Keeps the state of `parts`, which have done `steps`, in `path`: all of it or what was there before."""
    partial = path.with_name(path.name + ".partial")
    torch.save({name: part.state_dict() for name, part in parts.items()} | {"steps": steps}, partial)
    partial.replace(path)

"""Python environments that hold a few installed distributions and no others, made in a second."""

import os
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement


def dependencies_of(name: str, extras: frozenset[str] = frozenset()) -> dict[str, Distribution]:
    """The distribution `name`, and all that it needs, as they are installed here, by their names."""
    collected: dict[str, Distribution] = {}
    pending, done = [(name, extras)], set()
    while pending:
        name, extras = pending.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            collected[name] = distribution(name)
        except PackageNotFoundError:
            continue  # another system's, or one that is not needed here
        pending += needed(collected[name].requires or [], extras)
    return collected


def needed(requirements: list[str], extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """The names of those `requirements` that hold here with `extras`, each with the extras it asks for."""
    parsed = map(Requirement, requirements)
    return [
        (one.name, frozenset(one.extras))
        for one in parsed
        if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


def environment_with(folder: Path, requirements: list[str], extras: frozenset[str] = frozenset()) -> Path:
    """A fresh environment in `folder` with what `requirements` name; the path of its Python.

    Packages are links to those that are installed here, so nothing is downloaded.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    distributions: dict[str, Distribution] = {}
    for name, own_extras in needed(requirements, extras):
        distributions |= dependencies_of(name, own_extras)
    for one in distributions.values():
        for top in {path.parts[0] for path in one.files or [] if path.parts[0] != ".."}:
            link, source = packages / top, Path(str(one.locate_file(top)))
            if source.exists() and not link.exists():
                os.symlink(source, link)
    return folder / "bin" / "python"

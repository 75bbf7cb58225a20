"""torchaudio, also beside a torch without the CUDA that its extension was built for.

torchaudio 2.11's Linux wheel loads an extension built for CUDA at import, and raises OSError where torch has
no CUDA or another one. Nothing here uses the extension, so it counts as absent then. No file is changed.
`ser-studio doctor --repair` sets the extension aside for good, for programs that import torchaudio directly.
"""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

EXTENSION = "torchaudio._extension"


def load() -> Any:
    """The package torchaudio. Raises ImportError where it is not installed."""
    import torch

    if "torchaudio" not in sys.modules and torch.version.cuda != built_for(folder()):
        sys.modules[EXTENSION] = _no_extension()
    return import_module("torchaudio")


def folder() -> Path | None:
    """Where torchaudio is installed; None where it is not."""
    spec = find_spec("torchaudio")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None


def built_for(package: Path | None) -> str | None:
    """The version of CUDA that torchaudio's extension is for, such as 13.0; None where it names none."""
    path = package / "version.py" if package else None
    named = re.search(r"\+cu(\d+)(\d)", path.read_text(encoding="utf-8")) if path and path.is_file() else None
    return f"{named[1]}.{named[2]}" if named else None


def _no_extension() -> ModuleType:
    """What torchaudio's own module is where its wheel has no extension."""

    def refuse(_: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*_: Any, **__: Any) -> Any:
            raise RuntimeError("this needs the extension of torchaudio, which this torch cannot load")

        return refused

    module = ModuleType(EXTENSION)
    module._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    module._IS_ALIGN_AVAILABLE = False  # type: ignore[attr-defined]
    module._load_lib = lambda _: False  # type: ignore[attr-defined]
    module.fail_if_no_align = refuse  # type: ignore[attr-defined]
    return module

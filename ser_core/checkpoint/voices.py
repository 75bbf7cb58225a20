"""What tells voices apart, as shipped: `checkpoints/voices`, two networks and a space, no emotion model.

Its description is `voices.json`, so that lists of emotion models leave it out. `train.export.voices`
makes it.
"""

import hashlib
import json
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import WEIGHTS, BundleError

if TYPE_CHECKING:
    from ser_core.models.voice_networks import VoiceNetworks
    from ser_core.models.voice_space import VoiceSpace

NAME = "voices"
DESCRIPTION = "voices.json"
FORMAT = 2
SPACE = "space.safetensors"
ONNX = ("segmentation.onnx", "speaker_lower.onnx", "speaker_upper.onnx")  # read their weights from WEIGHTS
FILES = (WEIGHTS, SPACE, *ONNX)
FETCH = "restore it with `git checkout -- checkpoints`"


@dataclass(frozen=True, eq=False)
class VoicesCheckpoint:
    """The networks, and the space of the speaker encoder's vectors."""

    networks: "VoiceNetworks"
    space: "VoiceSpace"
    middle_weights: str  # of the speaker encoder, see `campplus.middle_weights`


def folder() -> Path:
    """Where the networks are."""
    return bundle.CHECKPOINTS / NAME


def verify(path: Path | None = None) -> str:
    """The `middle_weights` of the checkpoint in `path`, by default the shipped one.

    Raises BundleError (`not_found`, `bad_description`, `newer_format`, `hash_mismatch`) if it is unusable.
    """
    path = path or folder()
    if not all((path / name).is_file() for name in (DESCRIPTION, *FILES)):
        raise BundleError("not_found", f"the networks that tell voices apart are not in {path}: {FETCH}")
    try:
        described = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
        version = described["format"]
        if version != FORMAT:
            raise BundleError(
                "newer_format",
                f"{path.name} has format {version!r}, this program reads format {FORMAT}: update SER Studio",
            )
        expected = {name: described["sha256"][name] for name in FILES}
        middle_weights = str(described["middle_weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            "bad_description", f"{path.name}/{DESCRIPTION} cannot be read ({error}): {FETCH}"
        ) from None
    for name, sha256 in expected.items():
        if sha256_of(path / name) != sha256:
            raise BundleError(
                "hash_mismatch",
                f"{path.name}/{name} is not the file that was saved (SHA-256 differs): {FETCH}",
            )
    return middle_weights


def load(path: Path | None = None) -> VoicesCheckpoint:
    """The checkpoint in `path`, by default the shipped one. Raises BundleError as `verify`."""
    from safetensors.numpy import load_file

    from ser_core.models.voice_networks import VoiceNetworks
    from ser_core.models.voice_space import VoiceSpace

    path = path or folder()
    middle_weights = verify(path)
    parts = load_file(path / SPACE)
    space = VoiceSpace(*(parts[name].astype(np.float64) for name in ("projection", "between")))
    networks = VoiceNetworks(*(path / name for name in ONNX))
    return VoicesCheckpoint(networks, space, middle_weights)


def shipped() -> VoicesCheckpoint:
    """The shipped checkpoint, loaded once per process. Raises BundleError as `verify`."""
    with _loading:
        return _load_once()


_loading = threading.Lock()


@cache
def _load_once() -> VoicesCheckpoint:
    return load()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

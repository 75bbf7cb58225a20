"""What tells voices apart, as shipped: `checkpoints/voices`, two networks and a space, no emotion model.

Its description is `voices.json`, so that lists of emotion models leave it out. `train.export.voices`
makes it.
"""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import WEIGHTS, BundleError

if TYPE_CHECKING:
    from ser_core.models.campplus import CAMPlusPlus
    from ser_core.models.voice_networks import OnnxVoiceNetworks
    from ser_core.models.voice_segmentation import VoiceSegmentation
    from ser_core.models.voice_space import VoiceSpace

NAME = "voices"
DESCRIPTION = "voices.json"
FORMAT = 2
SPACE = "space.safetensors"
ONNX = ("segmentation.onnx", "speaker_lower.onnx", "speaker_upper.onnx")  # read their weights from WEIGHTS
FILES = (WEIGHTS, SPACE, *ONNX)
SEGMENTATION, SPEAKER = "segmentation.", "speaker."  # prefixes of the two networks' weights
FETCH = "restore it with `git checkout -- checkpoints`"


class VoicesCheckpoint(NamedTuple):
    """Both networks in float32, in evaluation mode, and the space of the speaker encoder's vectors."""

    segmentation: "VoiceSegmentation"
    speaker: "CAMPlusPlus"
    space: "VoiceSpace"
    middle_weights: str  # of the speaker encoder, see `campplus.middle_weights`


def folder() -> Path:
    """Where the networks are."""
    return bundle.CHECKPOINTS / NAME


def verify(path: Path | None = None) -> None:
    """Raises BundleError (`not_found`, `bad_description`, `newer_format`, `hash_mismatch`) if unusable.

    `path`: the folder, by default the shipped one.
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


def load(path: Path | None = None) -> VoicesCheckpoint:
    """The checkpoint in `path`, by default the shipped one.

    Raises BundleError as `verify`, and `wrong_weights`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from ser_core.models.campplus import CAMPlusPlus, fold, middle_weights
    from ser_core.models.voice_segmentation import VoiceSegmentation
    from ser_core.models.voice_space import VoiceSpace

    path = path or folder()
    verify(path)
    segmentation, speaker = VoiceSegmentation(), CAMPlusPlus()
    try:
        weights = {key: value.float() for key, value in load_file(path / WEIGHTS).items()}
        for prefix, network in ((SEGMENTATION, segmentation), (SPEAKER, speaker)):
            own = {
                key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
            }
            counters = {key: value for key, value in network.state_dict().items() if key.endswith("_tracked")}
            network.load_state_dict({**counters, **own})
        parts = load_file(path / SPACE)
        space = VoiceSpace(*(parts[name].double().numpy() for name in ("projection", "between")))
    except (SafetensorError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[: bundle.MAX_REASON]
        raise BundleError(
            "wrong_weights", f"{path.name}: the weights do not fit the networks ({reason}): {FETCH}"
        ) from None
    middle = middle_weights(speaker.state_dict())
    return VoicesCheckpoint(segmentation.eval(), fold(speaker.eval()), space, middle)


def load_faster() -> "OnnxVoiceNetworks | None":
    """The shipped networks as ONNX Runtime runs them, once `load` verified them; None where it is missing."""
    if find_spec("onnxruntime") is None:
        return None
    from ser_core.models.voice_networks import OnnxVoiceNetworks

    return OnnxVoiceNetworks(*(folder() / name for name in ONNX))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Reads and writes checkpoints: a folder with `model.safetensors` and `bundle.json`. No pickle.

`bundle.json` describes features, labels and calibration for these weights, and where the weights come from.
`metrics.json` beside it is optional and holds the measured results. Descriptions are read without torch,
which machines that use ONNX Runtime may lack.

A checkpoint may share its published encoders with another one beside it, its `base`. Its own file then lacks
them, and `base_sha256` is their digest: another version of the base with the same encoders will do.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.emotions import BY_NAME
from ser_core.errors import CodedError
from ser_core.models.feature_spec import FeatureSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1  # of bundle.json; raised when older programs can no longer read it
WEIGHTS = "model.safetensors"
DESCRIPTION = "bundle.json"
METRICS = "metrics.json"
ONNX, ONNX_INT8 = "model.onnx", "model.int8.onnx"  # where `train export --onnx` has made them
# Of an installed package, inside it; of a checkout, beside it.
_INSTALLED = Path(__file__).parents[1] / "checkpoints"
CHECKPOINTS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "checkpoints"
DEFAULT = "default"  # the checkpoint the app uses
ENCODERS = ("encoder.", "campplus.")  # how the names of tensors begin that a base may have


class BundleError(CodedError):
    """A checkpoint that cannot be used."""


@dataclass(frozen=True)
class Bundle:
    """The description of a checkpoint: the content of `bundle.json` and `metrics.json`, not the weights."""

    name: str
    version: str
    architecture: str  # a name in `models.ARCHITECTURES`
    labels: tuple[str, ...]  # in the order of the logits
    features: FeatureSpec
    options: Mapping[str, Any] = field(default_factory=dict)  # of the architecture
    window_s: float = 10.0  # longest input of the model; longer speech is cut
    temperature: float = 1.0  # logits are divided by it
    threshold: float = 0.0  # confidence below which the label is `unknown`, 0 to 1
    training_data: tuple[str, ...] = ()
    licence: str = ""
    parameters: int = 0
    size_bytes: int = 0  # of the weights file
    sha256: str = ""  # of the weights file
    base: str = ""  # the checkpoint beside this one that has the tensors which the weights file lacks
    base_sha256: str = ""  # of these tensors, see `_digest`
    metrics: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None  # the folder of the checkpoint


NOT_IN_FILE = ("metrics", "path")
WINDOW_S = (0.1, 60.0)
TEMPERATURE = (1e-3, 1e3)
MAX_REASON = 300  # characters of torch's message about weights that do not fit
# What models raise for wrong options.
MISFITS = (RuntimeError, TypeError, ValueError, KeyError, ArithmeticError, AssertionError)


def read(name_or_path: str | Path) -> Bundle:
    """The description of a checkpoint, by its name under `checkpoints/` or its folder; no weights are read.

    Raises BundleError with code `not_found`, `bad_description`, `newer_format` or `bad_labels`.
    """
    folder = _folder(name_or_path)
    raw = _json(folder / DESCRIPTION)
    if raw.get("format") != FORMAT:
        raise BundleError(
            "newer_format",
            f"{folder.name} has format {raw.get('format')!r}, this program reads format {FORMAT}: "
            "update SER Studio or export the checkpoint again",
        )
    field_names = {f.name for f in fields(Bundle)} - set(NOT_IN_FILE)
    try:
        values = {key: value for key, value in raw.items() if key in field_names}
        values["features"] = FeatureSpec(**values["features"])
        values["labels"] = tuple(values["labels"])
        values["training_data"] = tuple(values.get("training_data", ()))
        bundle = Bundle(**values, path=folder)
    except (KeyError, TypeError) as error:
        raise BundleError(
            "bad_description", f"{folder.name}/{DESCRIPTION} is incomplete ({error}): export it again"
        ) from None
    if wrong := [name for name, is_valid in _checks(bundle) if not is_valid]:
        raise BundleError(
            "bad_description",
            f"{folder.name}/{DESCRIPTION} has no sensible {', '.join(wrong)}: fetch or export it again",
        )
    unknown_labels = [label for label in bundle.labels if label not in BY_NAME]
    if unknown_labels or not bundle.labels or len(set(bundle.labels)) != len(bundle.labels):
        raise BundleError(
            "bad_labels",
            f"{folder.name} has labels {list(bundle.labels)}; known are {', '.join(BY_NAME)}: "
            "export it again, or update SER Studio",
        )
    metrics = _json(folder / METRICS) if (folder / METRICS).is_file() else {}
    return replace(bundle, metrics=metrics)


def load(name_or_path: str | Path) -> tuple[Bundle, "nn.Module"]:
    """A checkpoint's description and its model in float32, in evaluation mode, on the CPU.

    Raises BundleError as `read` and `verify` do, with code `unknown_architecture`, and with code
    `wrong_weights` if the weights do not fit the architecture.
    """
    import torch
    from safetensors import SafetensorError

    from ser_core.models.registry import ARCHITECTURES, build_uninitialised

    bundle = read(name_or_path)
    assert bundle.path is not None
    if bundle.architecture not in ARCHITECTURES:
        raise BundleError(
            "unknown_architecture",
            f"{bundle.path.name} needs the architecture {bundle.architecture!r}; "
            f"this program has {', '.join(ARCHITECTURES)}: update SER Studio",
        )
    _check_hash(bundle)
    try:
        weights = {  # copies: loaded tensors may be mapped to the file, which can change
            key: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
            for key, value in _tensors(bundle).items()
        }
        if not all(torch.stack(value.aminmax()).isfinite().all() for value in weights.values()):
            raise ValueError("some are not finite")
        model = build_uninitialised(bundle.architecture, len(bundle.labels), **bundle.options)
        model.load_state_dict(weights, assign=True)
        expected: FeatureSpec = model.features  # type: ignore[assignment]
        if (bundle.features.kind, bundle.features.bands) != (expected.kind, expected.bands):
            raise ValueError(
                f"they read {expected.bands} rows of {expected.kind}, other features are described"
            )
    except (SafetensorError, *MISFITS) as error:
        reason = " ".join(str(error).split())[:MAX_REASON]
        raise BundleError(
            "wrong_weights",
            f"{bundle.path.name}: the weights do not fit {bundle.architecture} ({reason}): "
            "fetch or export it again",
        ) from None
    return bundle, model.eval()


def save(folder: Path, bundle: Bundle, model: "nn.Module", base: str = "") -> Bundle:
    """Writes weights (matrices in float16, vectors in float32) and description to `folder`.

    The encoders are left out where the checkpoint `base`, beside `folder` or shipped, has the same.
    Returns `bundle` with `parameters`, `size_bytes`, `sha256`, `base`, `base_sha256` and `path` filled in.
    Raises BundleError for a base that cannot be used, with code `wrong_weights` if its encoders are others.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: (value.half() if value.is_floating_point() and value.ndim > 1 else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in model.state_dict().items()
    }
    bundle = replace(bundle, base="", base_sha256="")
    if base:
        encoders = _digest({name: tensor.numpy() for name, tensor in _encoders(weights).items()})
        bundle = replace(bundle, base=base, base_sha256=encoders, path=folder)
        _base(bundle)
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(ENCODERS)}
    partial = folder / (WEIGHTS + ".partial")
    save_file(weights, partial)
    bundle = replace(
        bundle,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        size_bytes=partial.stat().st_size,
        sha256=_sha256(partial),
        path=folder,
    )
    os.replace(partial, folder / WEIGHTS)
    description = {"format": FORMAT, **asdict(bundle)}
    for key in NOT_IN_FILE:
        description.pop(key)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return bundle


def verify(name_or_path: str | Path) -> None:
    """Raises BundleError if a checkpoint is missing, incomplete or was changed since it was saved."""
    bundle = read(name_or_path)
    _check_hash(bundle)
    if bundle.base:
        _base(bundle)


def shipped() -> list[Bundle]:
    """The checkpoints that come with the program, the default first.

    Raises BundleError as `read` does.
    """
    folders = sorted(path.parent for path in CHECKPOINTS.glob(f"*/{DESCRIPTION}"))
    return [read(folder) for folder in sorted(folders, key=lambda folder: folder.name != DEFAULT)]


def _checks(bundle: Bundle) -> Iterator[tuple[str, bool]]:
    """Fields of a description that is not trusted, each with whether its value is valid."""
    for name in ("name", "version", "architecture", "licence", "sha256", "base", "base_sha256"):
        yield name, isinstance(getattr(bundle, name), str)
    for name in ("labels", "training_data"):
        yield name, all(isinstance(item, str) for item in getattr(bundle, name))
    for name in ("parameters", "size_bytes"):
        yield name, _is_number(getattr(bundle, name), 0, math.inf)
    yield "options", isinstance(bundle.options, dict)
    yield "window_s", _is_number(bundle.window_s, *WINDOW_S)
    yield "temperature", _is_number(bundle.temperature, *TEMPERATURE)
    yield "threshold", _is_number(bundle.threshold, 0, 1)
    yield "features", bundle.features.is_valid


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _folder(name_or_path: str | Path) -> Path:
    folder = Path(name_or_path)
    if not (folder / DESCRIPTION).is_file():
        folder = CHECKPOINTS / name_or_path
    if not (folder / DESCRIPTION).is_file():
        names = sorted(path.parent.name for path in CHECKPOINTS.glob(f"*/{DESCRIPTION}"))
        raise BundleError(
            "not_found",
            f"there is no checkpoint {str(name_or_path)!r}; shipped: {', '.join(names) or 'none'}",
        )
    return folder


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        name = f"{path.parent.name}/{path.name}"
        raise BundleError("bad_description", f"{name} cannot be read ({error}): fetch it again") from None
    if not isinstance(content, dict):
        raise BundleError(
            "bad_description", f"{path.parent.name}/{path.name} is no JSON object: fetch it again"
        )
    return content


def _base(bundle: Bundle) -> Path:
    """The weights file of the checkpoint that `bundle` shares tensors with, beside it or else shipped.

    Raises BundleError, with code `wrong_weights` where the shared tensors are others.
    """
    from safetensors.numpy import load_file

    assert bundle.path is not None
    beside = bundle.path.parent / bundle.base
    try:
        base = read(beside if (beside / DESCRIPTION).is_file() else bundle.base)
        _check_hash(base)
    except BundleError as error:
        text = f"{bundle.path.name} shares weights with {bundle.base}: {error.message}"
        raise BundleError(error.code, text) from None
    assert base.path is not None
    weights = base.path / WEIGHTS
    if _digest(_encoders(load_file(weights))) != bundle.base_sha256:
        raise BundleError(
            "wrong_weights",
            f"{bundle.path.name} needs the encoders of another version of {bundle.base}: "
            "fetch both from the same release, or export it again",
        )
    return weights


def _tensors(bundle: Bundle) -> dict[str, "Tensor"]:
    """The tensors of a checkpoint, those of its base included."""
    from safetensors.torch import load_file

    assert bundle.path is not None
    shared = _encoders(load_file(_base(bundle))) if bundle.base else {}
    return shared | load_file(bundle.path / WEIGHTS)


def _encoders(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `tensors`, by name, that a base may have."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(ENCODERS)}


def _digest(arrays: Mapping[str, Any]) -> str:
    """SHA-256 of names, types, shapes and values of numpy `arrays`, in the order of the names."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_hash(bundle: Bundle) -> None:
    assert bundle.path is not None
    weights = bundle.path / WEIGHTS
    if not weights.is_file():
        raise BundleError("not_found", f"{bundle.path.name} has no {WEIGHTS}: fetch the checkpoint again")
    if _sha256(weights) != bundle.sha256:
        raise BundleError(
            "hash_mismatch",
            f"{bundle.path.name}/{WEIGHTS} is not the file that was saved (SHA-256 differs): fetch it again",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

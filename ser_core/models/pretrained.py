"""Downloads published weights once, checks their SHA-256, and reads them without executing their content.

Downloads use urllib. `torch.hub` and `torchaudio.pipelines` check only a hash prefix in the file name and
start again after an interruption; `huggingface_hub` resumes, but checks only sizes and serves only its own
hub. One function for all three sources gives the same guarantees in less code than wrapping these libraries.

Environment: `SER_CACHE` names the cache folder, `SER_OFFLINE=1` forbids the network.
"""

import hashlib
import http.client
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises for more than tensors
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ser_core.errors import CodedError

log = logging.getLogger(__name__)

CACHE = Path.home() / ".cache" / "ser-studio"
TIMEOUT_S = 30.0  # without any data
CHUNK = 1 << 20  # bytes read at once
PERMANENT_ERRORS = (401, 403, 404, 410)  # HTTP status codes that a retry will not change
RANGE_NOT_SATISFIABLE = 416
PARTIAL_CONTENT = 206
TORCHAUDIO = "https://download.pytorch.org/torchaudio/models"
HUB = "https://huggingface.co"
NETWORK_ERRORS = (URLError, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)

Progress = Callable[[int, int | None], None]  # bytes received, bytes in total (None: unknown)


class PretrainedError(CodedError, ValueError):
    """Weights that cannot be fetched or used. `code` is stable, `message` says what to do.

    no_network     the server cannot be reached, or the connection broke: received data is kept for resuming
    not_found      no such name, file or address
    offline        not in the cache, and the network is forbidden
    hash_mismatch  not the published file
    unwritable     the cache folder cannot be written, or the disk is full
    unreadable     not a weights file
    wrong_weights  weights of another architecture or size
    """


@dataclass(frozen=True)
class PretrainedWeights:
    """A published weights file."""

    name: str
    url: str
    # SHA-256 in hexadecimal, whole or as many first digits as are published. Empty if none is published: then
    # the first download relies on HTTPS, and its hash is stored beside the file and checked on later use.
    sha256: str = ""

    @property
    def filename(self) -> str:
        """Name of the file in the cache."""
        return self.name.replace("/", "--") + Path(self.url).suffix


PUBLISHED = {
    weights.name: weights
    for weights in (
        PretrainedWeights(
            "openai/whisper-tiny",
            f"{HUB}/openai/whisper-tiny/resolve/169d4a4341b33bc18d8881c4b69c2e104e1cc0af/model.safetensors",
            "7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
        ),
        PretrainedWeights(
            "openai/whisper-base",
            f"{HUB}/openai/whisper-base/resolve/e37978b90ca9030d5170a5c07aadb050351a65bb/model.safetensors",
            "07cadb9f25677c8d50df603e66a98fbd842cce45047139baeb16e6219a1e807b",
        ),
        PretrainedWeights(
            "vgg16",
            "https://download.pytorch.org/models/vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        PretrainedWeights(
            "vggish",
            "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
            "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
        ),
        # torchaudio.pipelines, which publishes no hashes
        PretrainedWeights("WAV2VEC2_BASE", f"{TORCHAUDIO}/wav2vec2_fairseq_base_ls960.pth"),
        PretrainedWeights("WAV2VEC2_LARGE", f"{TORCHAUDIO}/wav2vec2_fairseq_large_ls960.pth"),
        PretrainedWeights("WAV2VEC2_LARGE_LV60K", f"{TORCHAUDIO}/wav2vec2_fairseq_large_lv60k.pth"),
        PretrainedWeights("WAV2VEC2_XLSR53", f"{TORCHAUDIO}/wav2vec2_fairseq_large_xlsr53.pth"),
        PretrainedWeights("WAV2VEC2_XLSR_300M", f"{TORCHAUDIO}/wav2vec2_xlsr_300m.pth"),
        PretrainedWeights("HUBERT_BASE", f"{TORCHAUDIO}/hubert_fairseq_base_ls960.pth"),
        PretrainedWeights("HUBERT_LARGE", f"{TORCHAUDIO}/hubert_fairseq_large_ll60k.pth"),
        PretrainedWeights("WAVLM_BASE", f"{TORCHAUDIO}/wavlm_base.pth"),
        PretrainedWeights("WAVLM_BASE_PLUS", f"{TORCHAUDIO}/wavlm_base_plus.pth"),
        PretrainedWeights("WAVLM_LARGE", f"{TORCHAUDIO}/wavlm_large.pth"),
    )
}


def locate(name_or_path: str | Path) -> Path:
    """The local file of weights, given by path or by a name in `PUBLISHED`; downloaded if necessary.

    Raises PretrainedError as `fetch` does, and with code `not_found` for any other name.
    """
    path, name = Path(name_or_path), str(name_or_path)
    if path.is_file():
        return path
    if name not in PUBLISHED:
        raise PretrainedError(
            "not_found", f"{name} is neither a file nor one of the published weights: {', '.join(PUBLISHED)}"
        )
    return fetch(PUBLISHED[name], progress=_log_progress(name))


def fetch(
    weights: PretrainedWeights,
    cache: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The file of `weights` in the cache folder, downloaded if missing; its hash is checked each time.

    An interrupted download leaves `NAME.partial` and is resumed from there; the file gets its own name only
    when it is complete and its hash is right. If several processes call this at once, one downloads. `cache`
    defaults to `SER_CACHE`, else `~/.cache/ser-studio`; `offline` (or `SER_OFFLINE`) forbids downloads.

    Raises PretrainedError with code `no_network`, `not_found`, `offline`, `hash_mismatch` or `unwritable`.
    """
    folder = cache or Path(os.environ.get("SER_CACHE") or CACHE)
    path = folder / weights.filename
    if path.is_file():
        _check(weights, path)
        return path
    if offline or os.environ.get("SER_OFFLINE"):
        raise PretrainedError(
            "offline",
            f"{weights.name} is not in {folder} and the network is forbidden: "
            f"put {weights.url} there as {path.name}, or allow the network once (unset SER_OFFLINE)",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                _download_checked(weights, path, progress)
    except OSError as error:
        raise PretrainedError(
            "unwritable",
            f"{folder} cannot hold {weights.name} ({error}): make room or set SER_CACHE elsewhere",
        ) from None
    return path


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file or of a state dict saved by torch, by name, on the CPU.

    Only names that begin with `prefix`, which is removed from them. A torch file is read with `weights_only`:
    the unpickler accepts only tensors and plain containers. Raises PretrainedError with code `unreadable`.
    """
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise PretrainedError("unreadable", f"{path} is not a weights file: {reason}") from None
    if not isinstance(tensors, Mapping) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise PretrainedError("unreadable", f"{path} holds something else than named tensors")
    return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], source: Path, what: str) -> None:
    """Loads `tensors` into `module` as float32; PretrainedError `wrong_weights` if names or shapes differ.

    `what` names the module in the message.
    """
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise PretrainedError("wrong_weights", f"{source} does not hold {what}: {error}") from None


def _download_checked(weights: PretrainedWeights, path: Path, progress: Progress | None) -> None:
    """Downloads to `NAME.partial`, checks the hash and renames the file to `path`."""
    partial = path.with_name(path.name + ".partial")
    _download(weights, partial, progress)
    digest = _sha256(partial)
    if not digest.startswith(weights.sha256):
        partial.unlink()
        raise PretrainedError(
            "hash_mismatch",
            f"{weights.url} gave a file with SHA-256 {digest}, not {weights.sha256}; it was removed. "
            "Try again; if that does not help, something on the way changes downloads",
        )
    if not weights.sha256:
        _hash_file(path).write_text(digest + "\n", encoding="utf-8")
    os.replace(partial, path)


def _check(weights: PretrainedWeights, path: Path) -> None:
    """Raises `hash_mismatch` if the cached file differs from the published or the first downloaded one."""
    expected = weights.sha256
    if not expected and _hash_file(path).is_file():
        expected = _hash_file(path).read_text(encoding="utf-8").strip()
    if not _sha256(path).startswith(expected):
        raise PretrainedError(
            "hash_mismatch", f"{path} was changed or damaged (SHA-256 differs): remove it and run this again"
        )


def _hash_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _download(weights: PretrainedWeights, partial: Path, progress: Progress | None) -> None:
    """Downloads to `partial`; resumes after its content if the server supports that."""
    try:
        _transfer(weights.url, partial, progress)
    except HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE and partial.is_file():  # nothing follows its content
            partial.unlink()
            _download(weights, partial, progress)
            return
        if error.code in PERMANENT_ERRORS:
            raise PretrainedError(
                "not_found",
                f"{weights.url} answers {error.code} {error.reason}: get {weights.name} elsewhere and give "
                "its path instead of its name",
            ) from None
        raise _no_network(weights, f"it answers {error.code} {error.reason}") from None
    except NETWORK_ERRORS as error:
        raise _no_network(weights, str(getattr(error, "reason", error))) from None


def _transfer(url: str, partial: Path, progress: Progress | None) -> None:
    """Requests the missing part of `partial` and appends it."""
    start = partial.stat().st_size if partial.is_file() else 0
    request = Request(url, headers={"User-Agent": "ser-studio"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urlopen(request, timeout=TIMEOUT_S) as response:
        if response.status != PARTIAL_CONTENT:
            start = 0
        size = response.headers.get("Content-Length")
        total = start + int(size) if size else None
        done = start
        with partial.open("ab" if start else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection broke after {done} of {total} bytes")


def _no_network(weights: PretrainedWeights, reason: str) -> PretrainedError:
    return PretrainedError(
        "no_network",
        f"{weights.url} cannot be reached ({reason}): connect and run this again (it goes on where it "
        f"stopped), or fetch the file by other means and give its path instead of {weights.name}",
    )


def _log_progress(name: str) -> Progress:
    """A progress callback that logs a line for each tenth."""
    tenth = 0

    def report(done: int, total: int | None) -> None:
        nonlocal tenth
        if total and done * 10 // total > tenth:
            tenth = done * 10 // total
            log.info("%s: %d of %d MB", name, done // 1_000_000, total // 1_000_000)

    return report


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

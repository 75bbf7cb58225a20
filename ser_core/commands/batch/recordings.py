"""Lists the recordings of a local or remote archive, and copies them to the machine that processes them.

`s3://` and `gs://` are read by Arrow's own clients (region and endpoint may stand in the URL:
`s3://bucket/calls?region=eu-central-1`), everything else with `://` by the fsspec file system of that name,
such as `hf://datasets/USER/NAME`. Credentials are taken from where these clients look for them.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.arrow import ArrowFSWrapper

from ser_core.audio import formats
from ser_core.commands import inputs
from ser_core.errors import AudioError, CodedError

ARROW_SCHEMES = ("s3", "gs", "gcs")
CHUNK_FILES = 64  # recordings in a chunk: seconds to minutes of work
CHUNK_BYTES = 256_000_000  # total size of a chunk, unless a single recording is larger


class ListingError(CodedError):
    """An archive whose recordings cannot be listed."""


@dataclass(frozen=True)
class Recording:
    """One recording of an archive, or the reason why there is none. Plain values, so that it can be sent."""

    source: str  # its name in the results
    path: str  # within its file system
    url: str | None = None  # opens its file system; None for a local or shared drive
    size: int = 0  # bytes; 0 if unknown
    error: tuple[str, str] | None = None  # code and message of `AudioError`


def expand(arguments: Sequence[str]) -> tuple[list[Recording], list[str]]:
    """The recordings that `arguments` name (files, folders, patterns, URLs of these), in order, each once.

    Beside them what was left out of folders, a line each. Raises ListingError with code
    `not_listed`.
    """
    recordings: dict[str, Recording] = {}
    remarks: list[str] = []
    for argument in arguments:
        for recording in _remote(argument, remarks) if "://" in argument else _local(argument, remarks):
            recordings.setdefault(recording.source, recording)
    return list(recordings.values()), remarks


def chunks(recordings: Sequence[Recording]) -> Iterator[list[Recording]]:
    """`recordings` in order, in chunks of at most CHUNK_FILES and, if possible, CHUNK_BYTES.

    >>> [len(chunk) for chunk in chunks([Recording(f"{n}.wav", "") for n in range(100)])]
    [64, 36]
    """
    chunk: list[Recording] = []
    size = 0
    for recording in recordings:
        if chunk and (len(chunk) == CHUNK_FILES or size + recording.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(recording)
        size += recording.size
    if chunk:
        yield chunk


def fetch(recording: Recording, folder: Path, name: str) -> Path:
    """The recording as a local file: its own path, or for a remote one a copy in `folder`, called `name`.

    Raises AudioError; its code is `not_fetched` if the network or the store failed.
    """
    if recording.error:
        raise AudioError(*recording.error)
    if recording.url is None:
        return Path(recording.path)
    try:
        with _filesystem(recording.url)[0].open(recording.path) as remote, (folder / name).open("wb") as copy:
            shutil.copyfileobj(remote, copy, 1 << 20)
    except FileNotFoundError:
        raise AudioError("not_found", "There is no such file. Check its name and folder.") from None
    except Exception as error:  # noqa: BLE001  # each file system raises its own errors
        raise AudioError(
            "not_fetched", f"It could not be fetched ({error}). Check the network and try again."
        ) from None
    return folder / name


def _local(argument: str, remarks: list[str]) -> Iterator[Recording]:
    expanded = inputs.expand([argument])
    remarks += expanded.remarks
    for item in expanded.items:
        error = (item.error.code, item.error.message) if item.error else None
        size = os.path.getsize(item.path) if os.path.isfile(item.path) else 0
        yield Recording(item.path, os.path.abspath(item.path), size=size, error=error)


def _remote(url: str, remarks: list[str]) -> Iterator[Recording]:
    left_out: Counter[str] = Counter()  # by name alone: to look at the content would fetch it
    try:
        system, path = _filesystem(url)
        matches = sorted(system.glob(path)) if "*" in path else [path]
        files = [file for match in matches for file in _walk(system, match, left_out)]
    except (OSError, ValueError, ImportError) as error:
        raise ListingError("not_listed", f"{url} cannot be listed: {error}") from None
    remarks += inputs.Inputs(left_out=left_out).remarks
    if not files:
        yield Recording(
            url.partition("?")[0],
            path,
            url,
            error=("not_found", "No recordings are there. Check the address."),
        )
    scheme = url[: url.index("://") + 3]
    for name, size in files:
        yield Recording(scheme + name.lstrip("/"), name, url, size)


def _walk(system: Any, path: str, left_out: Counter[str]) -> Iterator[tuple[str, int]]:
    """Name and size in bytes of the recording at `path`, or of all in that folder; others are counted."""
    if not system.isdir(path):
        if system.exists(path):
            yield path, system.info(path)["size"] or 0
        return
    for name, info in sorted(system.find(path, detail=True).items()):
        hidden = any(part.startswith(".") for part in name[len(path) :].split("/"))
        if hidden:
            continue
        if name.lower().endswith(formats.SUFFIXES):
            yield name, info["size"] or 0
        else:
            left_out[os.path.splitext(name)[1].lower() or inputs.NO_SUFFIX] += 1


def _filesystem(url: str) -> tuple[Any, str]:
    """The file system of `url`, with fsspec's methods, and the path within it."""
    if urlsplit(url).scheme not in ARROW_SCHEMES:
        system, path = fsspec.core.url_to_fs(url)
        return system, path
    from pyarrow.fs import FileSystem

    store, path = FileSystem.from_uri(url)
    return ArrowFSWrapper(store), path

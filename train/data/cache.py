"""Cache of clips' speech and features on disk.

The name of an entry is the SHA-256 of everything that its content depends on: the bytes of the recording, the
FeatureSpec, the source of the code that decodes, cuts and transforms it, and the versions of the libraries. A
change of any of them gives another name, so entries are never stale. Entries are written atomically, and
several processes may share a folder. The folder may be deleted at any time.
"""

import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from ser_core.audio import containers, decode, vad
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import AudioError
from ser_core.models import features, pretrained
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor
from train.corpora import Clip, CorpusError
from train.data import speech
from train.errors import RunError

log = logging.getLogger(__name__)
SPEECH_CODE = (decode, containers, vad, speech)  # modules whose source decides the speech, constants included
FEATURE_CODE = (features,)
LIBRARIES = ("numpy", "soundfile", "av", "soxr", "webrtcvad-wheels", "torch", "torchaudio")
# Features lie within about ±8, where float16 errs by 0.004 at most and by 0.0005 below 1: less than bfloat16,
# in which networks are trained, and half of float32's disk, memory and reading.
FEATURE_TYPE = np.float16

Array = NDArray[Any]


@dataclass(frozen=True)
class FeatureCache:
    """Speech and features of clips, stored in `folder`; with None they are computed each time."""

    folder: Path | None = None

    def speech(self, clips: Sequence[Clip]) -> list[NDArray[np.int16]]:
        """Each clip from its first to its last speech, `(n_samples,)` at 16 kHz; see `speech_of`.

        Raises CorpusError for a file that cannot be read, RunError where the folder cannot be written.
        """
        return _parallel(self._speech, clips)

    def features(self, clips: Sequence[Clip], spec: FeatureSpec) -> list[NDArray[np.float16]]:
        """Each clip's speech as `spec` describes, `(band, frame)`; raises as `speech` does.

        The numbers are the same with and without a folder.
        """
        extract = FeatureExtractor(spec)

        def compute(clip: Clip) -> NDArray[np.float16]:
            if spec.kind == "waveform":  # larger than the speech, and quick to compute from it
                return features_of(self._speech(clip), extract)
            if self.folder is None:
                return features_of(self._speech(clip), extract)
            name = key(content_of(clip), code_version(SPEECH_CODE + FEATURE_CODE), repr(spec))
            return self._entry(name, lambda: features_of(self._speech(clip), extract))

        return _parallel(compute, clips)

    def _speech(self, clip: Clip) -> NDArray[np.int16]:
        content = content_of(clip)

        def compute() -> NDArray[np.int16]:
            try:
                return speech.speech_of(content)
            except AudioError as error:
                reason = f"{error.code}: {error.message}"
                raise CorpusError(
                    f"{clip.path}: {reason} `python -m train corpora` lists every file that cannot be read."
                ) from None

        return self._entry(key(content, code_version(SPEECH_CODE)), compute)

    def _entry(self, name: str, compute: Callable[[], Array]) -> Array:
        """The entry `name`, computed and written where it is missing or damaged."""
        entry = self.load(name)
        if entry is None:
            entry = compute()
            self.store(name, entry)
        return entry

    def load(self, name: str) -> Array | None:
        """The entry `name`; None where it is missing or damaged. Raises RunError for an unreadable folder."""
        if self.folder is None:
            return None
        path = self._path(name)
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (ValueError, EOFError):
            log.warning("%s is damaged and is made again", path)
            return None
        except OSError as error:
            raise self._cache_error(error) from None

    def store(self, name: str, array: Array) -> None:
        """Stores `array` as the entry `name`; RunError where the folder cannot be written."""
        if self.folder is None:
            return
        try:
            _write(self._path(name), array)
        except OSError as error:
            raise self._cache_error(error) from None

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name[:2] / f"{name}.npy"

    def _cache_error(self, error: OSError) -> RunError:
        return RunError(
            f"the feature cache {self.folder} cannot be used ({error.strerror}): make room there or correct "
            "its permissions, name another folder with --cache, or do without it with --no-cache"
        )


def default_folder() -> Path:
    """`features` in the folder `SER_CACHE`, by default `~/.cache/ser-studio`, which holds weights too."""
    return Path(os.environ.get("SER_CACHE") or pretrained.CACHE) / "features"


def features_of(samples: NDArray[np.int16], extract: FeatureExtractor) -> NDArray[np.float16]:
    """The features `(band, frame)` of the speech `samples` `(n_samples,)` at full scale."""
    rows = torch.from_numpy(samples / speech.FULL_SCALE)[None]
    features, _ = extract(rows, torch.tensor([len(samples)]))
    return features[0].numpy().astype(FEATURE_TYPE)


def key(content: bytes, *decisions: str) -> str:
    """The name of an entry: SHA-256 of the recording's bytes and of each string in `decisions`."""
    digest = hashlib.sha256(hashlib.sha256(content).digest())
    for decision in decisions:
        digest.update(hashlib.sha256(decision.encode()).digest())
    return digest.hexdigest()


@cache  # the code does not change while the process runs
def code_version(modules: Sequence[Any]) -> str:
    """Digest of the source of `modules`, with the versions of LIBRARIES."""
    return source_digest(Path(module.__file__) for module in modules) + "".join(
        f" {name} {version(name)}" for name in LIBRARIES
    )


def source_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the files `paths`, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def content_of(clip: Clip) -> bytes:
    """The bytes of the clip's file, or of a WAV file with its segment alone.

    Raises CorpusError where the file cannot be read.
    """
    try:
        content = clip.path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{clip.path}: {error.strerror}: check the file and its permissions") from None
    if clip.stretch_s is None:
        return content
    try:
        samples = decode.decode(content).samples
    except AudioError as error:
        raise CorpusError(f"{clip.path}: {error.code}: {error.message}") from None
    start, end = (round(edge * SAMPLE_RATE) for edge in clip.stretch_s)
    file = io.BytesIO()
    soundfile.write(file, samples[start:end], SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def _write(path: Path, array: Array) -> None:
    """Writes `array` to `path` atomically: readers see the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        partial = Path(file.name)
        try:
            np.save(file, array)
            file.flush()
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def _parallel(compute: Callable[[Clip], Array], clips: Sequence[Clip]) -> list[Array]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(compute, clips))

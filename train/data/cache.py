"""Speech and features of clips, computed once and kept on disk.

An entry's name is the SHA-256 of everything that decides it: the recording's bytes, the FeatureSpec, the
source of the code that decodes, cuts and transforms, and the versions of the libraries below it. What changes
any of them asks for another entry, so an entry is never stale and never has to be renewed. Entries appear
whole or not at all, and any number of processes may share a folder. It may be deleted at any time.
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
DECIDES_SPEECH = (decode, containers, vad, speech)  # modules; a changed constant in them is a changed result
DECIDES_FEATURES = (features,)
LIBRARIES = ("numpy", "soundfile", "av", "soxr", "webrtcvad-wheels", "torch", "torchaudio")
# Features lie within about ±8, where float16 errs by 0.004 at most and by 0.0005 below 1: less than bfloat16,
# in which networks are trained, and half of float32's disk, memory and reading.
FEATURE_TYPE = np.float16

Array = NDArray[Any]


@dataclass(frozen=True)
class FeatureCache:
    """Gives clips' speech and features, from `folder` where they are there; None computes them each time."""

    folder: Path | None = None

    def speech(self, clips: Sequence[Clip]) -> list[NDArray[np.int16]]:
        """Each clip from its first to its last speech, `(n_samples,)` at 16 kHz; see `speech_of`.

        Raises CorpusError for a file that cannot be read, RunError where the folder cannot be written.
        """
        return _parallel(self._speech, clips)

    def features(self, clips: Sequence[Clip], spec: FeatureSpec) -> list[NDArray[np.float16]]:
        """Each clip's speech as `spec` describes, `(band, frame)`; raises as `speech` does.

        The same numbers come with and without a folder.
        """
        extract = FeatureExtractor(spec)

        def of(clip: Clip) -> NDArray[np.float16]:
            if spec.kind == "waveform":  # larger than the speech, and quickly made from it
                return features_of(self._speech(clip), extract)
            if self.folder is None:
                return features_of(self._speech(clip), extract)
            name = key(content_of(clip), code(DECIDES_SPEECH + DECIDES_FEATURES), repr(spec))
            return self._kept(name, lambda: features_of(self._speech(clip), extract))

        return _parallel(of, clips)

    def _speech(self, clip: Clip) -> NDArray[np.int16]:
        content = content_of(clip)

        def cut() -> NDArray[np.int16]:
            try:
                return speech.speech_of(content)
            except AudioError as error:
                reason = f"{error.code}: {error.message}"
                raise CorpusError(
                    f"{clip.path}: {reason} `python -m train corpora` lists every file that cannot be read."
                ) from None

        return self._kept(key(content, code(DECIDES_SPEECH)), cut)

    def _kept(self, name: str, compute: Callable[[], Array]) -> Array:
        """The entry `name`, computed and written where it is missing or damaged."""
        found = self.load(name)
        if found is None:
            found = compute()
            self.store(name, found)
        return found

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
            raise self._unusable(error) from None

    def store(self, name: str, array: Array) -> None:
        """Keeps `array` as the entry `name`; RunError where the folder cannot be written."""
        if self.folder is None:
            return
        try:
            _write(self._path(name), array)
        except OSError as error:
            raise self._unusable(error) from None

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name[:2] / f"{name}.npy"

    def _unusable(self, error: OSError) -> RunError:
        return RunError(
            f"the feature cache {self.folder} cannot be used ({error.strerror}): make room there or correct "
            "its permissions, name another folder with --cache, or do without it with --no-cache"
        )


def default_folder() -> Path:
    """`features` in the folder `SER_CACHE`, else in `~/.cache/ser-studio`, where weights are kept too."""
    return Path(os.environ.get("SER_CACHE") or pretrained.CACHE) / "features"


def features_of(samples: NDArray[np.int16], extract: FeatureExtractor) -> NDArray[np.float16]:
    """The features `(band, frame)` of one stretch of speech, `(n_samples,)` at full scale."""
    rows = torch.from_numpy(samples / speech.FULL_SCALE)[None]
    found, _ = extract(rows, torch.tensor([len(samples)]))
    return found[0].numpy().astype(FEATURE_TYPE)


def key(content: bytes, *decisions: str) -> str:
    """The name of an entry: SHA-256 of the recording's bytes and of each thing that decides the result."""
    digest = hashlib.sha256(hashlib.sha256(content).digest())
    for decision in decisions:
        digest.update(hashlib.sha256(decision.encode()).digest())
    return digest.hexdigest()


@cache  # the code that runs does not change while it runs
def code(modules: Sequence[Any]) -> str:
    """What stands for the code in `modules` and the libraries they call."""
    return source_digest(Path(module.__file__) for module in modules) + "".join(
        f" {name} {version(name)}" for name in LIBRARIES
    )


def source_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the files `paths`, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def content_of(clip: Clip) -> bytes:
    """The file of `clip`; of a stretch, a WAV file of that alone. CorpusError where it cannot be read."""
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
    """Puts `array` at `path` at once: a reader sees all of it or nothing."""
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


def _parallel(of: Callable[[Clip], Array], clips: Sequence[Clip]) -> list[Array]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(of, clips))

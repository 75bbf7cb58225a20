"""From sound to `Analysis`: streamed from disk, batched over the segments of several files.

Only what is still needed of a recording is held: the stretch being spoken, and the segments that wait for a
full batch. An hour costs no more memory than a minute.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ser_core import audio, bundle, calibration
from ser_core.analysis import Analysis, Segment, make_segment, summarise
from ser_core.audio import SAMPLE_RATE, AudioError, DecodeLimits, Waveform
from ser_core.bundle import DEFAULT, Bundle
from ser_core.features import FeatureExtractor, pad
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.quality import Quality
from ser_core.session import Session
from ser_core.speech import Clip, Samples, SpeechStream

BLOCK_SAMPLES = 10 * SAMPLE_RATE  # a waveform is fed in pieces of this size
BATCH_SIZE = 16  # windows the model is given at once
PENDING_SEGMENTS = 64  # segments gathered before the model runs: enough to sort them by length

Progress = Callable[[str, float], None]  # is told the source and how many seconds of it were heard


class DeviceError(Exception):
    """A device this machine does not have; the message says which there are."""


@dataclass
class _Recording:
    """One recording on its way to an `Analysis`."""

    source: str
    blocks: Iterable[Samples]
    heard: int = 0  # samples
    session: Session = field(default_factory=Session)
    waiting: int = 0  # segments cut and not yet recognised
    ended: bool = False
    quality: Quality | None = None
    error: AudioError | None = None
    segments: list[Segment] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.ended and not self.waiting


class Recognizer:
    """A model ready to recognise emotion in speech.

    >>> Recognizer.load().analyze_file("a.wav").summary.label  # doctest: +SKIP
    'angry'
    """

    def __init__(self, bundle: Bundle, model: nn.Module, device: str = "auto") -> None:
        """`device`: `auto` (cuda, else mps, else cpu) or one of these; DeviceError where it is not here."""
        self.bundle = bundle
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.extract = FeatureExtractor(bundle.features).to(self.device).eval()

    @classmethod
    def load(cls, name: str | Path = DEFAULT, device: str = "auto") -> "Recognizer":
        """The checkpoint of that name or folder; raises BundleError and DeviceError."""
        return cls(*bundle.load(name), device=device)

    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)` of stretches of speech at 16 kHz.

        A clip has at least one sample. One longer than the bundle's window is cut evenly and its windows'
        probabilities are averaged. What a clip gets does not depend on the clips beside it.
        """

        if not clips:
            return np.zeros((0, len(self.bundle.labels)))

        def calibrated(features: Tensor, lengths: Tensor) -> Tensor:
            return calibration.probabilities(self.model(features, lengths).float(), self.bundle.temperature)

        total = self._mean_over_windows(clips, calibrated).double().numpy()
        mean: NDArray[np.float64] = total / total.sum(axis=1, keepdims=True)
        return mean

    def analyze(self, waveform: Waveform, source: str = "", progress: Progress | None = None) -> Analysis:
        """What is spoken how in `waveform`, which must be at 16 kHz."""
        if waveform.sample_rate != SAMPLE_RATE:
            raise ValueError(f"expected {SAMPLE_RATE} Hz, got {waveform.sample_rate}")
        samples = waveform.samples
        blocks = (samples[at : at + BLOCK_SAMPLES] for at in range(0, len(samples), BLOCK_SAMPLES))
        return next(self._run([_Recording(source, blocks)], progress))

    def analyze_file(
        self,
        file: Path | str | bytes,
        source: str | None = None,
        limits: DecodeLimits = DecodeLimits(),
        progress: Progress | None = None,
    ) -> Analysis:
        """What is spoken how in a file, or in the bytes of one; one that cannot be read has `Analysis.error`.

        `source`: what to call it, else the path as given.
        """
        if source is None:
            source = "" if isinstance(file, bytes) else str(file)
        return next(self._run([_Recording(source, _blocks(file, limits))], progress))

    def analyze_files(
        self,
        paths: Iterable[Path | str],
        limits: DecodeLimits = DecodeLimits(),
        progress: Progress | None = None,
    ) -> Iterator[Analysis]:
        """As `analyze_file`, for each of `paths` in order, with segments of several files in one batch."""
        return self._run((_Recording(str(path), _blocks(path, limits)) for path in paths), progress)

    def segments(
        self, clips: Sequence[Clip], sessions: Sequence[Session], final: Sequence[bool]
    ) -> list[Segment]:
        """What each of `clips` sounds like in its session, whatever clips of other sessions are beside it.

        A session's clips come in the order in which they were spoken; one that is not `final` is forgotten.
        """
        labels, threshold = self.bundle.labels, self.bundle.threshold
        rows = self._in_session([clip.samples for clip in clips], sessions, final).tolist()
        return [
            make_segment(clip.span.start_s, clip.span.end_s, dict(zip(labels, row, strict=True)), threshold)
            for clip, row in zip(clips, rows, strict=True)
        ]

    def conclude(
        self, source: str, heard: int, quality: Quality | None, segments: Sequence[Segment]
    ) -> Analysis:
        """The result for a whole recording of `heard` samples at 16 kHz from its segments."""
        return Analysis(
            source=source,
            duration=heard / SAMPLE_RATE,
            model_name=self.bundle.name,
            model_version=self.bundle.version,
            quality=quality,
            segments=tuple(segments),
            summary=summarise(segments, self.bundle.threshold),
        )

    def _run(self, recordings: Iterable[_Recording], progress: Progress | None) -> Iterator[Analysis]:
        """The one way from sound to results, whatever it came in as."""
        begun: deque[_Recording] = deque()  # in order of arrival, until their turn to be handed out
        pending: list[tuple[_Recording, Clip]] = []
        for recording in recordings:
            begun.append(recording)
            for clip in _clips(recording, progress):
                recording.waiting += 1
                pending.append((recording, clip))
                if len(pending) == PENDING_SEGMENTS:
                    self._recognise(pending)
            while begun and begun[0].complete:
                yield self._analysis(begun.popleft())
        self._recognise(pending)
        yield from map(self._analysis, begun)

    def _recognise(self, pending: list[tuple[_Recording, Clip]]) -> None:
        """Turns the clips in `pending` into segments of their recordings, and empties it."""
        sessions = [recording.session for recording, _ in pending]
        segments = self.segments([clip for _, clip in pending], sessions, [True] * len(pending))
        for (recording, _), segment in zip(pending, segments, strict=True):
            recording.segments.append(segment)
            recording.waiting -= 1
        pending.clear()

    def _analysis(self, recording: _Recording) -> Analysis:
        """The result for a complete recording."""
        segments = [] if recording.error else recording.segments
        found = self.conclude(recording.source, recording.heard, recording.quality, segments)
        return replace(found, error=recording.error)

    def _in_session(
        self, clips: Sequence[Samples], sessions: Sequence[Session], final: Sequence[bool]
    ) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)`; a model that does not adapt judges each clip by itself."""
        model = self.model
        if not isinstance(model, WhisperAdaptive) or not clips:
            return self.probabilities(clips)
        rows = np.full((len(clips), len(self.bundle.labels)), 1 / len(self.bundle.labels))
        embeddings = self._mean_over_windows(clips, model.embed).to(self.device)
        with torch.inference_mode():
            for row, embedding, session, ended in zip(rows, embeddings, sessions, final, strict=True):
                if not model.familiar(embedding[None]):
                    continue  # music, an animal, a machine: no emotion is likelier than another
                logits = session.judge(model, embedding).double().cpu()
                row[:] = calibration.probabilities(logits, self.bundle.temperature).numpy()
                if ended:
                    session.keep(model, embedding)
        return rows

    def _mean_over_windows(self, clips: Sequence[Samples], of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What `of` makes of each clip's features, on the CPU; of a long clip the mean over its windows."""
        limit = int(self.bundle.window_s * SAMPLE_RATE)
        windows = [
            (row, window)
            for row, clip in enumerate(clips)
            for window in np.array_split(clip, ceil(len(clip) / limit))
        ]
        windows.sort(key=lambda item: len(item[1]))  # neighbours in length share a batch: little padding
        found, rows = [], []
        with torch.inference_mode():
            for first in range(0, len(windows), BATCH_SIZE):
                batch = windows[first : first + BATCH_SIZE]
                samples, lengths = pad([torch.from_numpy(window) for _, window in batch])
                found.append(
                    of(*self.extract(samples.to(self.device), lengths.to(self.device))).float().cpu()
                )
                rows += [row for row, _ in batch]
            every = torch.cat(found)
            index = torch.tensor(rows)
            total = torch.zeros(len(clips), every.shape[1]).index_add_(0, index, every)
            return total / torch.bincount(index, minlength=len(clips))[:, None]


def choose_device(name: str) -> torch.device:
    """The torch device called `name`; `auto` takes cuda, else mps, else cpu. Raises DeviceError."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [device for device, is_there in available.items() if is_there]
    if name == "auto":
        name = there[0]
    if name not in there:
        raise DeviceError(f"this machine has no device {name!r}; it has {', '.join(there)}")
    return torch.device(name)


def _blocks(file: Path | str | bytes, limits: DecodeLimits) -> Iterator[Samples]:
    """The file's blocks; opened when the first one is asked for, so that errors surface in one place."""
    yield from audio.stream(file, limits)


def _clips(recording: _Recording, progress: Progress | None) -> Iterator[Clip]:
    """The clips of `recording` as they end, and at last its quality or its error."""
    stream = SpeechStream()
    try:
        for block in recording.blocks:
            yield from stream.push(block)
            recording.heard = stream.heard
            if progress:
                progress(recording.source, recording.heard / SAMPLE_RATE)
        yield from stream.flush()
        recording.quality = stream.quality()
    except AudioError as error:
        recording.error = error
    recording.ended = True

"""From sound to `Analysis`: streamed from disk, batched over the segments of several files.

Only what is still needed of a recording is held: the stretch being spoken, and the segments that wait for a
full batch. An hour costs no more memory than a minute.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ser_core.analysis import Analysis, Segment, make_segment, summarise
from ser_core.audio import decode
from ser_core.audio.decode import DecodeLimits
from ser_core.audio.quality import Quality
from ser_core.audio.speech import Clip, Samples, SpeechStream
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import DEFAULT, Bundle
from ser_core.errors import AudioError, DeviceFullError
from ser_core.errors import DeviceError as DeviceError
from ser_core.models.session import Session

BLOCK_SAMPLES = 10 * SAMPLE_RATE  # a waveform is fed in pieces of this size
PENDING_SEGMENTS = 64  # segments gathered before the model runs: enough to sort them by length
RUNTIMES = {"torch": bundle.WEIGHTS, "onnx": bundle.ONNX, "onnx-int8": bundle.ONNX_INT8}  # and their files

T = TypeVar("T")
Progress = Callable[[str, float], None]  # is told the source and how many seconds of it were heard


class Read(Protocol):
    """How recordings are read: `decode.stream`, or the same in another process."""

    def __call__(
        self, source: Path | str | bytes, limits: DecodeLimits = ..., warnings: list[str] | None = None
    ) -> Iterator[Samples]:
        """Blocks of a recording, mono at 16 kHz."""


class Runtime(Protocol):
    """What computes probabilities, by a bundle: torch, or ONNX Runtime where there is no torch."""

    @property
    def bundle(self) -> Bundle:
        """What is computed."""

    @property
    def device(self) -> object:
        """Where; its text is the device's name."""

    @property
    def adapts(self) -> bool:
        """Whether it judges a clip with what else was heard in its session."""

    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """See `Recognizer.probabilities`; at least one clip."""

    def in_sessions(
        self, clips: Sequence[Samples], sessions: Sequence[Session], final: Sequence[bool]
    ) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)` of at least one clip; see `Recognizer.segments`."""


@dataclass
class _Recording:
    """One recording on its way to an `Analysis`."""

    source: str
    blocks: Iterable[Samples]
    warnings: list[str] = field(default_factory=list)  # of reading it
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

    def __init__(self, runtime: Runtime, read: Read = decode.stream) -> None:
        """`read`: how files become sound; `Decoder.stream` where they are strangers'."""
        self.runtime, self.read = runtime, read
        self.bundle = runtime.bundle

    @classmethod
    def load(
        cls,
        name: str | Path = DEFAULT,
        device: str = "auto",
        precision: str = "float32",
        read: Read = decode.stream,
        runtime: str = "torch",
    ) -> "Recognizer":
        """The checkpoint of that name or folder; raises BundleError and DeviceError.

        `device` and `precision`: see `TorchRuntime`; `read`: as above. `runtime`: one of `RUNTIMES`; those of
        ONNX run the checkpoint's ONNX files, see `OnnxRuntime`.
        """
        if runtime == "torch":
            from ser_core.recognition.torch_runtime import TorchRuntime  # here, because torch may be absent

            found, model = bundle.load(name)
            try:
                return cls(TorchRuntime(found, model, device, precision), read)
            except DeviceFullError as full:
                return cls(full.on_cpu, read)
        from ser_core.recognition.onnx_runtime import OnnxRuntime

        return cls(OnnxRuntime(bundle.read(name), RUNTIMES[runtime], device), read)

    @property
    def device(self) -> object:
        """Where the model computes; its text is the device's name."""
        return self.runtime.device

    def compute(self, work: Callable[[Runtime], T]) -> T:
        """What `work` makes with the runtime; where its device is full, on the CPU, from then on for all."""
        try:
            return work(self.runtime)
        except DeviceFullError as full:
            self.runtime = full.on_cpu
        return work(self.runtime)

    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)` of stretches of speech at 16 kHz.

        A clip has at least one sample. One longer than the bundle's window is cut evenly and its windows'
        probabilities are averaged. What a clip gets does not depend on the clips beside it.
        """
        if not clips:
            return np.zeros((0, len(self.bundle.labels)))
        return self.compute(lambda runtime: runtime.probabilities(clips))

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
        session: Session | None = None,
    ) -> Analysis:
        """What is spoken how in a file, or in the bytes of one; one that cannot be read has `Analysis.error`.

        `source`: what to call it, else the path as given. `session`: that it goes on, else it begins one; a
        model that adapts knows the voice from what was heard in it before.
        """
        if source is None:
            source = "" if isinstance(file, bytes) else str(file)
        recording = self._begin(file, source, limits, session or Session())
        return next(self._run([recording], progress))

    def analyze_files(
        self,
        paths: Iterable[Path | str],
        limits: DecodeLimits = DecodeLimits(),
        progress: Progress | None = None,
        session_of: Callable[[str], Session] = lambda path: Session(),
    ) -> Iterator[Analysis]:
        """As `analyze_file`, for each of `paths` in order, with segments of several files in one batch.

        `session_of`: the session that a path's recording goes on; default: each begins its own.
        """
        begun = (self._begin(path, str(path), limits, session_of(str(path))) for path in paths)
        return self._run(begun, progress)

    def segments(
        self, clips: Sequence[Clip], sessions: Sequence[Session], final: Sequence[bool]
    ) -> list[Segment]:
        """What each of `clips` sounds like in its session, whatever clips of other sessions are beside it.

        A session's clips come in the order in which they were spoken; one that is not `final` is forgotten.
        A settled session (`Session.settle`) has all of its clips: each is judged with the others.
        """
        if not clips:
            return []
        labels, threshold = self.bundle.labels, self.bundle.threshold
        samples = [clip.samples for clip in clips]
        rows = self.compute(lambda runtime: runtime.in_sessions(samples, sessions, final)).tolist()
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

    def _begin(
        self, file: Path | str | bytes, source: str, limits: DecodeLimits, session: Session
    ) -> _Recording:
        warnings: list[str] = []
        return _Recording(source, self.read(file, limits, warnings), warnings, session=session)

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
        quality = stream.quality()
        recording.quality = replace(quality, warnings=(*recording.warnings, *quality.warnings))
    except AudioError as error:
        recording.error = error
    recording.ended = True

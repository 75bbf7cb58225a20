"""Analyses recordings: streams them from disk, and batches the segments of several files.

Only the open segment of a recording and the segments that wait for a full batch are held in memory: an hour
takes no more memory than a minute. Where voices are told apart in one channel, which takes all of a
recording, it is read twice: to hear who speaks, and to judge what each says.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ser_core.analysis import Analysis, Segment, make_segment, summarise, voices_of
from ser_core.audio import decode
from ser_core.audio.channels import MIX
from ser_core.audio.decode import DecodeLimits
from ser_core.audio.quality import Quality
from ser_core.audio.speech import Clip, Samples
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import DEFAULT, Bundle
from ser_core.errors import DeviceError as DeviceError
from ser_core.errors import DeviceFullError
from ser_core.models.middle_states import MiddleStates
from ser_core.models.session import Judged, Session
from ser_core.recognition.recording import ONE_VOICE, Progress, Recording, Utterance, VoiceOptions

BLOCK_SAMPLES = 10 * SAMPLE_RATE  # a waveform is processed in blocks of this size
PENDING_SEGMENTS = 64  # segments collected before the model runs: enough to sort them by length
RUNTIMES = {
    "torch": bundle.WEIGHTS,
    "onnx": bundle.ONNX,
    "onnx-int8": bundle.ONNX_INT8,
}  # and their weights files

T = TypeVar("T")


class Read(Protocol):
    """How recordings are read: `decode.stream`, or the same in another process."""

    def __call__(
        self,
        source: Path | str | bytes,
        limits: DecodeLimits = ...,
        warnings: list[str] | None = None,
        channels: str = MIX,
    ) -> Iterator[Samples]:
        """Blocks of a recording at 16 kHz, see `decode.stream`."""


class Runtime(Protocol):
    """Computes probabilities for a bundle: with PyTorch, or with ONNX Runtime where there is no torch."""

    @property
    def bundle(self) -> Bundle:
        """The checkpoint's description."""

    @property
    def device(self) -> object:
        """The device on which the model runs; its text is the device's name."""

    @property
    def adapts(self) -> bool:
        """Whether the other clips of a session change the probabilities of a clip."""

    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """See `Recognizer.probabilities`; at least one clip."""

    def embeddings(
        self, clips: Sequence[Samples], middle: Sequence[MiddleStates | None] = ()
    ) -> NDArray[np.float32] | None:
        """See `Recognizer.segments_with_embeddings`."""

    def judge(self, embeddings: NDArray[np.float32], sessions: Sequence[Session]) -> Judged:
        """Class probabilities of final clips; see `Recognizer.judged_again`."""

    def in_sessions(
        self,
        clips: Sequence[Samples],
        sessions: Sequence[Session],
        final: Sequence[bool],
        middle: Sequence[MiddleStates | None] = (),
    ) -> Judged:
        """Class probabilities of at least one clip; see `Recognizer.segments`."""


class Recognizer:
    """A loaded model that recognises emotions in speech.

    >>> Recognizer.load().analyze_file("a.wav").summary.label  # doctest: +SKIP
    'angry'
    """

    def __init__(self, runtime: Runtime, read: Read = decode.stream) -> None:
        """`read`: how files are decoded; `Decoder.stream` for untrusted files."""
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
        """A recognizer with the checkpoint of that name or folder. Raises BundleError and DeviceError.

        `device` and `precision`: see `TorchRuntime`; `read`: see `__init__`. `runtime`: one of `RUNTIMES`;
        for the ONNX ones see `OnnxRuntime`.
        """
        if runtime == "torch":
            from ser_core.recognition.torch_runtime import TorchRuntime  # here, because torch may be absent

            description, model = bundle.load(name)
            try:
                return cls(TorchRuntime(description, model, device, precision), read)
            except DeviceFullError as full:
                return cls(full.on_cpu, read)
        from ser_core.recognition.onnx_runtime import OnnxRuntime

        return cls(OnnxRuntime(bundle.read(name), RUNTIMES[runtime], device), read)

    @property
    def device(self) -> object:
        """The device on which the model runs; its text is the device's name."""
        return self.runtime.device

    def compute(self, work: Callable[[Runtime], T]) -> T:
        """`work(runtime)`. If the device is out of memory, this call and all later ones run on the CPU."""
        try:
            return work(self.runtime)
        except DeviceFullError as full:
            self.runtime = full.on_cpu
        return work(self.runtime)

    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)` of clips of speech at 16 kHz, each of shape `(n_samples,)`.

        A clip has at least one sample. A clip longer than the bundle's window is cut into equal windows, and
        their probabilities are averaged. The result for a clip does not depend on the other clips.
        """
        if not clips:
            return np.zeros((0, len(self.bundle.labels)))
        return self.compute(lambda runtime: runtime.probabilities(clips))

    def analyze(
        self,
        waveform: Waveform,
        source: str = "",
        progress: Progress | None = None,
        warnings: Sequence[str] = (),
        options: VoiceOptions = ONE_VOICE,
    ) -> Analysis:
        """The analysis of `waveform` at 16 kHz; `source` is its name, `warnings` are those of reading it.

        Raises ValueError for another rate.
        """
        if waveform.sample_rate != SAMPLE_RATE:
            raise ValueError(f"expected {SAMPLE_RATE} Hz, got {waveform.sample_rate}")
        samples = waveform.samples
        starts = range(0, len(samples), BLOCK_SAMPLES)

        def read(_: list[str]) -> Iterator[Samples]:
            return (samples[start : start + BLOCK_SAMPLES] for start in starts)

        recording = Recording(source, read, list(warnings), options=options)
        return next(self._run([recording], progress))

    def analyze_file(
        self,
        file: Path | str | bytes,
        source: str | None = None,
        limits: DecodeLimits = DecodeLimits(),
        progress: Progress | None = None,
        session: Session | None = None,
        options: VoiceOptions = ONE_VOICE,
    ) -> Analysis:
        """The analysis of a file, given as a path or as bytes; `Analysis.error` is set if it cannot be read.

        `source`: name of the recording, by default the path. `session`: the session that the recording
        continues, by default a new one for each voice; a model that adapts uses the earlier clips of the
        session. `options`: which voices are told apart.
        """
        if source is None:
            source = "" if isinstance(file, bytes) else str(file)
        recording = self._begin(file, source, limits, session, options)
        return next(self._run([recording], progress))

    def analyze_files(
        self,
        paths: Iterable[Path | str],
        limits: DecodeLimits = DecodeLimits(),
        progress: Progress | None = None,
        session_of: Callable[[str], Session | None] = lambda path: None,
        options: VoiceOptions = ONE_VOICE,
    ) -> Iterator[Analysis]:
        """As `analyze_file`, for each of `paths` in order, with segments of several files in one batch.

        `session_of`: the session that the recording of a path continues; None: a new one for each voice.
        """
        recordings = (self._begin(path, str(path), limits, session_of(str(path)), options) for path in paths)
        return self._run(recordings, progress)

    def segments(
        self,
        clips: Sequence[Clip],
        sessions: Sequence[Session],
        final: Sequence[bool],
        middle: Sequence[MiddleStates | None] = (),
    ) -> list[Segment]:
        """The segment of each of `clips`, judged in its session; independent of clips of other sessions.

        The clips of a session are in the order in which they were spoken. A clip that is not `final` does not
        change its session. In a settled session (`Session.settle`) each clip is judged with all the others.
        `middle`: what telling voices apart has computed of each clip, so that it is not computed again.
        """
        if not clips:
            return []
        samples = [clip.samples for clip in clips]
        judged = self.compute(lambda runtime: runtime.in_sessions(samples, sessions, final, middle))
        return self._segments([(clip.span.start_s, clip.span.end_s) for clip in clips], judged)

    def segments_with_embeddings(
        self,
        clips: Sequence[Clip],
        sessions: Sequence[Session],
        middle: Sequence[MiddleStates | None] = (),
    ) -> tuple[list[Segment], NDArray[np.float32] | None]:
        """As `segments` of at least one final clip, and what `judged_again` needs of each, `(clip, size)`.

        None instead for a model that is not adaptive, or judges from the sound alone.
        """
        samples = [clip.samples for clip in clips]
        embeddings = self.compute(lambda runtime: runtime.embeddings(samples, middle))
        if embeddings is None:
            return self.segments(clips, sessions, [True] * len(clips), middle), None
        judged = self._judged(embeddings, sessions)
        return self._segments([(clip.span.start_s, clip.span.end_s) for clip in clips], judged), embeddings

    def judged_again(
        self,
        segments: Sequence[Segment],
        embeddings: Sequence[NDArray[np.float32]],
        sessions: Sequence[Session],
    ) -> list[Segment]:
        """`segments` judged in other `sessions`, from the `embeddings` `(size,)` of their clips."""
        again: list[Segment] = []
        for start in range(0, len(segments), PENDING_SEGMENTS):
            part = slice(start, start + PENDING_SEGMENTS)
            judged = self._judged(np.stack(embeddings[part]), sessions[part])
            times = [(segment.start, segment.end) for segment in segments[part]]
            for segment, other in zip(segments[part], self._segments(times, judged), strict=True):
                again.append(replace(other, voice=segment.voice, overlap=segment.overlap))
        return again

    def _judged(self, embeddings: NDArray[np.float32], sessions: Sequence[Session]) -> Judged:
        return self.compute(lambda runtime: runtime.judge(embeddings, sessions))

    def _segments(self, times: Sequence[tuple[float, float]], judged: Judged) -> list[Segment]:
        """Segments with start and end in seconds, `times`, and the probabilities `judged`."""
        labels = self.bundle.labels
        segments = []
        for (start_s, end_s), row, alone in zip(times, *(part.tolist() for part in judged), strict=True):
            segment = make_segment(start_s, end_s, dict(zip(labels, row, strict=True)), self.bundle.threshold)
            segments.append(replace(segment, by_itself=dict(zip(labels, alone, strict=True))))
        return segments

    def conclude(
        self, source: str, duration_samples: int, quality: Quality | None, segments: Sequence[Segment]
    ) -> Analysis:
        """The analysis of a whole recording of `duration_samples` at 16 kHz from its segments."""
        threshold = self.bundle.threshold
        return Analysis(
            source=source,
            duration=duration_samples / SAMPLE_RATE,
            model_name=self.bundle.name,
            model_version=self.bundle.version,
            quality=quality,
            segments=tuple(segments),
            summary=summarise(segments, threshold),
            voices=voices_of(segments, threshold),
        )

    def _begin(
        self,
        file: Path | str | bytes,
        source: str,
        limits: DecodeLimits,
        session: Session | None,
        options: VoiceOptions,
    ) -> Recording:
        def read(warnings: list[str]) -> Iterator[Samples]:
            return self.read(file, limits, warnings, options.decoded_channels)

        return Recording(source, read, [], session, options)

    def _run(self, recordings: Iterable[Recording], progress: Progress | None) -> Iterator[Analysis]:
        """The analyses of `recordings`, in their order."""
        unfinished: deque[Recording] = deque()  # in order of arrival, until their analysis is yielded
        pending: list[tuple[Recording, Utterance]] = []
        for recording in recordings:
            unfinished.append(recording)
            for utterance in recording.utterances(progress):
                recording.waiting += 1
                pending.append((recording, utterance))
                if len(pending) == PENDING_SEGMENTS:
                    self._recognise(pending)
            while unfinished and unfinished[0].complete:
                yield self._analysis(unfinished.popleft())
        self._recognise(pending)
        yield from map(self._analysis, unfinished)

    def _recognise(self, pending: list[tuple[Recording, Utterance]]) -> None:
        """Turns the clips in `pending` into segments of their recordings, and empties it."""
        sessions = [recording.session_of(utterance) for recording, utterance in pending]
        clips = [utterance.clip for _, utterance in pending]
        middle = [utterance.middle for _, utterance in pending]
        segments = self.segments(clips, sessions, [True] * len(pending), middle)
        for (recording, utterance), segment in zip(pending, segments, strict=True):
            recording.add(utterance, segment)
        pending.clear()

    def _analysis(self, recording: Recording) -> Analysis:
        """The analysis of a complete recording."""
        segments = [] if recording.error else recording.segments()
        analysis = self.conclude(recording.source, recording.samples_read, recording.quality, segments)
        return replace(analysis, error=recording.error)

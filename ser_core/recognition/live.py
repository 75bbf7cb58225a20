"""Live recognition: audio chunks go in while a person speaks, events come out.

Segmenter, features and model are the same as for files. When a session ends, its final segments and its
`Analysis` equal those of the same audio as a file. Audio is held in memory only, and only until its segment
is recognised.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log10

import numpy as np
from numpy.typing import NDArray

from ser_core.analysis import Analysis, Segment
from ser_core.audio.decode import DecodeLimits, Resampler
from ser_core.audio.quality import FLOOR_DBFS
from ser_core.audio.speech import Clip, Samples, SpeechStream
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.recognition.live_engine import Job, LiveEngine, LiveError

LEVEL_SAMPLES = SAMPLE_RATE // 10  # a level every 100 ms
PROVISIONAL_SAMPLES = SAMPLE_RATE // 2  # a provisional result every 500 ms of speech
NOTICE_SAMPLES = 5 * SAMPLE_RATE  # `FallingBehind` is sent no more often than this
INT16_SCALE = np.float32(1 / 32768)
RATES = DecodeLimits()  # the same sampling rates as for files


@dataclass(frozen=True)
class Level:
    """The level of the last 100 ms."""

    time: float  # s, their end
    peak_dbfs: float
    rms_dbfs: float
    speech: bool  # whether a person is speaking
    samples_received: int  # so far, at the client's rate


@dataclass(frozen=True)
class LiveSegment:
    """The result for a segment: provisional while it is being spoken, `final` after it."""

    number: int  # index of the segment in the session, from 0; the same for provisional and final
    final: bool
    segment: Segment


@dataclass(frozen=True)
class FallingBehind:
    """The model is too slow: provisional results were skipped. Final ones are never skipped."""

    skipped: int  # since the start of the session


@dataclass(frozen=True)
class Ended:
    """The last event of a finished session."""

    analysis: Analysis
    samples_received: int  # at the client's rate


@dataclass(frozen=True)
class Failed:
    """The last event of a failed session."""

    error: LiveError


Event = Level | LiveSegment | FallingBehind | Ended | Failed


class LiveSession:
    """The live audio of one person: chunks are pushed, events are emitted, `Ended` holds the `Analysis`.

    `sample_rate` in Hz is that of the chunks. `emit` is called with each event and must not block: levels on
    the thread that pushes, results on the engine's thread. Raises LiveError `bad_sample_rate`, `busy` or
    `closed`.
    """

    def __init__(
        self, engine: LiveEngine, sample_rate: int, emit: Callable[[Event], None], source: str = "live"
    ) -> None:
        if not RATES.min_sample_rate <= sample_rate <= RATES.max_sample_rate:
            raise LiveError(
                "bad_sample_rate",
                f"A sampling rate of {sample_rate} Hz cannot be heard; it must lie between "
                f"{RATES.min_sample_rate} and {RATES.max_sample_rate} Hz.",
            )
        self.samples_received = 0  # at `sample_rate`
        self._source, self._emit = source, emit
        self._recognizer = engine.recognizer
        self._resampler = Resampler(sample_rate)
        self._stream = SpeechStream()
        self._meter = _LevelMeter()
        self._count = 0  # segments that have ended
        self._provisional_due = 0  # sample at 16 kHz
        self._reported_skipped, self._reported_at = 0, -NOTICE_SAMPLES
        self._segments: list[Segment] = []  # the final ones, appended on the engine's thread
        self._queue = engine.join(self._recognised, self._conclude, self._fail)

    def push(self, samples: NDArray[np.int16] | Samples) -> None:
        """Adds a chunk of any length: mono, shape (n_samples,), int16 or float32 in [-1, 1].

        A caller that is faster than real time checks `full` or calls `wait_for_room` before each chunk.
        Raises ValueError for another type or shape, and for samples that are not finite.
        """
        if samples.ndim != 1 or samples.dtype not in (np.int16, np.float32):
            raise ValueError(f"expected mono int16 or float32, got {samples.dtype} of shape {samples.shape}")
        scale = INT16_SCALE if samples.dtype == np.int16 else np.float32(1)
        sound = samples * scale
        if not np.isfinite(sound).all():
            raise ValueError("the chunk holds samples that are not numbers")
        self.samples_received += len(sound)
        self._process(self._resampler.push(sound))

    @property
    def full(self) -> bool:
        """Whether the model must catch up with the final segments before more audio is pushed."""
        return self._queue.full

    def wait_for_room(self) -> None:
        """Blocks until the session is not `full`."""
        self._queue.wait_for_room()

    def finish(self) -> None:
        """Ends the audio; `Ended` follows the last final segment. Push nothing after it."""
        self._process(self._resampler.flush())
        self._submit(self._stream.flush())
        self._queue.end()

    def close(self) -> None:
        """Drops the session and its audio, finished or not; one event may still be emitted."""
        self._queue.close()

    def _process(self, samples: Samples) -> None:
        """Adds samples at 16 kHz, in pieces short enough to request provisional results in between."""
        for start in range(0, len(samples), PROVISIONAL_SAMPLES):
            piece = samples[start : start + PROVISIONAL_SAMPLES]
            self._submit(self._stream.push(piece))
            self._offer_provisional()
            speech = self._stream.open_span is not None
            for time, peak_dbfs, rms_dbfs in self._meter.push(piece):
                self._emit(Level(time, peak_dbfs, rms_dbfs, speech, self.samples_received))

    def _submit(self, clips: list[Clip]) -> None:
        for clip in clips:
            self._queue.put(Job(self._count, True, clip))
            self._count += 1
            self._provisional_due = 0  # the next segment gets its first one as soon as it is detected

    def _offer_provisional(self) -> None:
        """Requests a provisional result when one is due and a person speaks; in a pause nothing is new."""
        samples_read, span = self._stream.samples_read, self._stream.open_span
        if span is None or span.end < samples_read or samples_read < self._provisional_due:
            return
        self._provisional_due = samples_read + PROVISIONAL_SAMPLES
        self._queue.put(Job(self._count, False, self._stream.cut(span)))
        skipped = self._queue.replaced
        if skipped > self._reported_skipped and samples_read - self._reported_at >= NOTICE_SAMPLES:
            self._reported_skipped, self._reported_at = skipped, samples_read
            self._emit(FallingBehind(skipped))

    def _recognised(self, job: Job, segment: Segment) -> None:
        if job.final:
            self._segments.append(segment)
        self._emit(LiveSegment(job.number, job.final, segment))

    def _conclude(self) -> None:
        samples_read, quality = self._stream.samples_read, self._stream.quality()
        analysis = self._recognizer.conclude(self._source, samples_read, quality, self._segments)
        self._emit(Ended(analysis, self.samples_received))

    def _fail(self, error: LiveError) -> None:
        self._emit(Failed(error))


class _LevelMeter:
    """Measures the level of audio at 16 kHz every `LEVEL_SAMPLES`, wherever the pieces are cut."""

    def __init__(self) -> None:
        self._count = 0  # levels so far
        self._rest: Samples = np.zeros(0, np.float32)

    def push(self, piece: Samples) -> Iterator[tuple[float, float, float]]:
        """(time in s, peak in dBFS, root mean square in dBFS) of each level that `piece` completes."""
        samples = np.concatenate([self._rest, piece])
        whole = len(samples) // LEVEL_SAMPLES * LEVEL_SAMPLES
        self._rest = samples[whole:]
        for block in samples[:whole].reshape(-1, LEVEL_SAMPLES):
            self._count += 1
            power = np.square(block, dtype=np.float64)
            yield self._count * LEVEL_SAMPLES / SAMPLE_RATE, _dbfs(power.max()), _dbfs(power.mean())


def _dbfs(power: float) -> float:
    return max(FLOOR_DBFS, 10 * log10(power)) if power > 0 else FLOOR_DBFS

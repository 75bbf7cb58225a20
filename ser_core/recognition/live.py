"""Emotion while a person speaks: sound goes in as it comes, events come out.

The segmenter, features and model are those of files: when a session ends, its finals and its `Analysis` are
what the same sound gives as a file. Sound is held in memory only, no longer than a coming segment needs it.
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
NOTICE_SAMPLES = 5 * SAMPLE_RATE  # that results were skipped is said no more often than this
INT16_SCALE = np.float32(1 / 32768)
RATES = DecodeLimits()  # the same sampling rates as for files


@dataclass(frozen=True)
class Level:
    """How loud the last 100 ms were."""

    time: float  # s, where they end
    peak_dbfs: float
    rms_dbfs: float
    speech: bool  # somebody is speaking
    samples_received: int  # at the client's rate, up to now


@dataclass(frozen=True)
class LiveSegment:
    """What a stretch of speech sounds like: so far, or, where `final`, for good."""

    number: int  # counts the session's segments from 0; the same while one is spoken and when it ends
    final: bool
    segment: Segment


@dataclass(frozen=True)
class FallingBehind:
    """The model had no time for some provisional results; final ones are never skipped."""

    skipped: int  # since the session began


@dataclass(frozen=True)
class Ended:
    """The last event of a session that was finished."""

    analysis: Analysis
    samples_received: int  # at the client's rate


@dataclass(frozen=True)
class Failed:
    """The last event of a session that cannot go on."""

    error: LiveError


Event = Level | LiveSegment | FallingBehind | Ended | Failed


class LiveSession:
    """One person's sound, from the first sample to the `Analysis` of all of it.

    `emit` is given each event: levels on the thread that pushes, results on the engine's thread. It must not
    block. LiveError `bad_sample_rate`, `busy` or `closed` if there can be no session.
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
        self._told_skipped, self._told_at = 0, -NOTICE_SAMPLES
        self._segments: list[Segment] = []  # the finals, by the engine's thread
        self._lane = engine.join(self._recognised, self._conclude, self._fail)

    def push(self, samples: NDArray[np.int16] | Samples) -> None:
        """Hears a chunk of any length: mono, shape (n_samples,), int16 or float32 in [-1, 1].

        A caller that is faster than real time asks `full` or calls `wait_for_room` before each chunk.
        """
        if samples.ndim != 1 or samples.dtype not in (np.int16, np.float32):
            raise ValueError(f"expected mono int16 or float32, got {samples.dtype} of shape {samples.shape}")
        scale = INT16_SCALE if samples.dtype == np.int16 else np.float32(1)
        sound = samples * scale
        if not np.isfinite(sound).all():
            raise ValueError("the chunk holds samples that are not numbers")
        self.samples_received += len(sound)
        self._hear(self._resampler.push(sound))

    @property
    def full(self) -> bool:
        """Whether the model must catch up with the finals before more sound is pushed."""
        return self._lane.full

    def wait_for_room(self) -> None:
        """Blocks until the session is not `full`."""
        self._lane.wait_for_room()

    def finish(self) -> None:
        """Ends the sound; `Ended` comes after the last final. Push nothing after it."""
        self._hear(self._resampler.flush())
        self._submit(self._stream.flush())
        self._lane.end()

    def close(self) -> None:
        """Drops the session and its sound, finished or not; at most an event on its way still comes."""
        self._lane.leave()

    def _hear(self, samples: Samples) -> None:
        """Takes samples at 16 kHz, in pieces short enough to ask for provisional results in between."""
        for at in range(0, len(samples), PROVISIONAL_SAMPLES):
            piece = samples[at : at + PROVISIONAL_SAMPLES]
            self._submit(self._stream.push(piece))
            self._offer_provisional()
            speech = self._stream.open_span is not None
            for time, peak_dbfs, rms_dbfs in self._meter.push(piece):
                self._emit(Level(time, peak_dbfs, rms_dbfs, speech, self.samples_received))

    def _submit(self, clips: list[Clip]) -> None:
        for clip in clips:
            self._lane.put(Job(self._count, True, clip))
            self._count += 1
            self._provisional_due = 0  # the next segment's first one comes as soon as it is found

    def _offer_provisional(self) -> None:
        """Asks for a provisional result when it is time and somebody speaks; in a pause nothing is new."""
        heard, span = self._stream.samples_read, self._stream.open_span
        if span is None or span.end < heard or heard < self._provisional_due:
            return
        self._provisional_due = heard + PROVISIONAL_SAMPLES
        self._lane.put(Job(self._count, False, self._stream.cut(span)))
        skipped = self._lane.replaced
        if skipped > self._told_skipped and heard - self._told_at >= NOTICE_SAMPLES:
            self._told_skipped, self._told_at = skipped, heard
            self._emit(FallingBehind(skipped))

    def _recognised(self, job: Job, segment: Segment) -> None:
        if job.final:
            self._segments.append(segment)
        self._emit(LiveSegment(job.number, job.final, segment))

    def _conclude(self) -> None:
        stream = self._stream
        analysis = self._recognizer.conclude(
            self._source, stream.samples_read, stream.quality(), self._segments
        )
        self._emit(Ended(analysis, self.samples_received))

    def _fail(self, error: LiveError) -> None:
        self._emit(Failed(error))


class _LevelMeter:
    """Measures sound at 16 kHz every `LEVEL_SAMPLES`, wherever it is cut."""

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

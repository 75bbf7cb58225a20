"""Live recognition: audio chunks go in while a person speaks, events come out.

Segmenter, features and model are the same as for files. When a session ends, its final segments and its
`Analysis` equal those of the same audio as a file. Audio is held in memory only, and only until its segment
is recognised; with voices, the last seconds of speech until the session ends.

Voices are told apart on a thread of their own when a segment has ended, and each is judged in the session of
its voice. At the end all voices are settled anew, as in a file, and the segments named by them and judged
anew in their sessions, from the embeddings of their clips.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import log10
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from ser_core.analysis import UNSURE_VOICE, Analysis, Segment, voice_name
from ser_core.audio.decode import DecodeLimits, Resampler
from ser_core.audio.quality import FLOOR_DBFS
from ser_core.audio.speech import Clip, Samples, SpeechStream
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.models.session import Session
from ser_core.recognition.diarization import Diarizer, LiveVoices, Turn
from ser_core.recognition.live_engine import MAX_WAITING, Job, LiveEngine, LiveError

LEVEL_SAMPLES = SAMPLE_RATE // 10  # a level every 100 ms
PROVISIONAL_SAMPLES = SAMPLE_RATE // 2  # a provisional result every 500 ms of speech
NOTICE_SAMPLES = 5 * SAMPLE_RATE  # `FallingBehind` is sent no more often than this
BEHIND_S = 0.5  # a clip that has waited for so long is not told apart before the end
KEPT = 600  # segments of a session that are judged anew at its end: half an hour, 7 MB of embeddings
INT16_SCALE = np.float32(1 / 32768)
log = logging.getLogger(__name__)
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
    """One stream of live audio: chunks are pushed, events are emitted, `Ended` holds the `Analysis`.

    With a `diarizer` voices are told apart; without one all that is said is one voice's.
    `sample_rate` in Hz is that of the chunks. `emit` is called with each event and must not block: levels on
    the thread that pushes, results on the engine's thread. Raises LiveError `bad_sample_rate`, `busy` or
    `closed`.
    """

    def __init__(
        self,
        engine: LiveEngine,
        sample_rate: int,
        emit: Callable[[Event], None],
        source: str = "live",
        diarizer: Diarizer | None = None,
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
        self._voices = diarizer.live() if diarizer else None
        self._listening = engine.listening
        self._cut, self._diarized = 0, 0  # clips: each counted by one thread
        self._sessions: dict[int, Session] = {}  # of each voice, by its number
        self._speaker = 0  # the voice that spoke last
        self._settled: list[Turn] = []
        self._embeddings: list[NDArray[np.float32]] = []  # of the final segments, up to `KEPT`
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
        return self._queue.full or (self._not_diarized >= MAX_WAITING and not self._queue.closed)

    def wait_for_room(self) -> None:
        """Blocks until the session is not `full`."""
        while self._not_diarized >= MAX_WAITING and not self._queue.closed:
            self._listening.submit(int).result()  # after what it has to do before
        self._queue.wait_for_room()

    def finish(self) -> None:
        """Ends the audio; `Ended` follows the last final segment. Push nothing after it."""
        self._process(self._resampler.flush())
        self._submit(self._stream.flush())
        if self._voices:
            self._later(self._settle)
        else:
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
            if self._voices:
                self._cut += 1
                self._later(self._diarize, clip, self._voices, monotonic())
            else:
                self._put(Turn(clip.span, 0, False), clip, None)
            self._provisional_due = 0  # the next segment gets its first one as soon as it is detected

    @property
    def _not_diarized(self) -> int:
        """Clips whose voices are not told apart yet."""
        return self._cut - self._diarized

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        """Calls `work` on the thread that tells voices apart, unless the engine has ended."""
        with suppress(RuntimeError):
            self._listening.submit(work, *arguments)

    def _put(self, turn: Turn, clip: Clip, voice: str | None) -> None:
        session = Session() if turn.voice is None else self._sessions.setdefault(turn.voice, Session())
        self._speaker = self._speaker if turn.voice is None else turn.voice
        self._queue.put(Job(self._count, True, clip, session, voice, turn.overlap, turn.middle))
        self._count += 1

    def _diarize(self, clip: Clip, voices: LiveVoices, asked_s: float) -> None:
        """Cuts a clip into the turns of its voices; on the thread that all sessions share.

        Where that thread is behind, it hears the clip for the end alone: until then nobody knows whose it is.
        """
        try:
            if monotonic() - asked_s > BEHIND_S:
                voices.add(clip.samples, clip.span)
                session = self._sessions.setdefault(self._speaker, Session())  # whoever it is
                self._queue.put(Job(self._count, True, clip, session, UNSURE_VOICE))
                self._count += 1
                return
            for turn in voices.turns(clip.samples, clip.span):
                start, end = turn.span.start - clip.span.start, turn.span.end - clip.span.start
                name = UNSURE_VOICE if turn.voice is None else voice_name(turn.voice)
                self._put(turn, Clip(turn.span, clip.samples[start:end]), name)
        except Exception:  # a fault with this clip must not end other sessions
            log.exception("the voices of a live clip cannot be told apart")
            self._give_up()
        finally:
            self._diarized += 1
            self._queue.notify()

    def _settle(self) -> None:
        """Ends the session when its last words are told apart."""
        assert self._voices
        try:
            self._settled = self._voices.settle()
        except Exception:  # a fault with its sound must not leave the session open
            log.exception("the voices of a live session cannot be settled")
            self._give_up()
        else:
            self._queue.end()

    def _give_up(self) -> None:
        """Fails the session, whose voices cannot be told apart."""
        self._queue.close()
        self._fail(LiveError("internal", "The model failed on this sound. Start a new session."))

    def _offer_provisional(self) -> None:
        """Requests a provisional result when one is due and a person speaks; in a pause nothing is new."""
        samples_read, span = self._stream.samples_read, self._stream.open_span
        if (
            span is None
            or span.end < samples_read
            or samples_read < self._provisional_due
            or self._not_diarized
        ):
            return
        self._provisional_due = samples_read + PROVISIONAL_SAMPLES
        session = self._sessions.setdefault(self._speaker, Session())  # whoever it is now
        self._queue.put(Job(self._count, False, self._stream.cut(span), session))
        skipped = self._queue.replaced
        if skipped > self._reported_skipped and samples_read - self._reported_at >= NOTICE_SAMPLES:
            self._reported_skipped, self._reported_at = skipped, samples_read
            self._emit(FallingBehind(skipped))

    def _recognised(self, job: Job, segment: Segment, embedding: NDArray[np.float32] | None) -> None:
        if job.final:
            if embedding is not None and len(self._embeddings) < KEPT:
                self._embeddings.append(embedding)
            self._segments.append(segment)
        self._emit(LiveSegment(job.number, job.final, segment))

    def _conclude(self) -> None:
        samples_read, quality = self._stream.samples_read, self._stream.quality()
        segments = settled(self._segments, self._settled)
        if self._voices and segments and len(self._embeddings) == len(segments):
            own: defaultdict[str | None, Session] = defaultdict(Session)
            sessions = [Session() if one.voice == UNSURE_VOICE else own[one.voice] for one in segments]
            segments = self._recognizer.judged_again(segments, self._embeddings, sessions)
        analysis = self._recognizer.conclude(self._source, samples_read, quality, segments)
        self._emit(Ended(analysis, self.samples_received))

    def _fail(self, error: LiveError) -> None:
        self._emit(Failed(error))


def settled(segments: Sequence[Segment], turns: Sequence[Turn]) -> list[Segment]:
    """`segments` under the voices of the settled `turns`: each under the one that most of it was said by.

    Both are in order. Without turns the voices stay.
    """
    named, first = [], 0
    for segment in segments:
        shared: dict[int | None, float] = {}
        while first < len(turns) and turns[first].span.end_s <= segment.start:
            first += 1
        for turn in turns[first:]:
            if turn.span.start_s >= segment.end:
                break
            both = min(turn.span.end_s, segment.end) - max(turn.span.start_s, segment.start)
            shared[turn.voice] = shared.get(turn.voice, 0.0) + both
        voice = max(shared, key=lambda number: shared[number]) if shared else None
        name = UNSURE_VOICE if voice is None else voice_name(voice)
        named.append(replace(segment, voice=name) if shared else segment)
    return named


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

"""Runs one model for several live sessions: batches hold clips of different sessions, which take turns.

Each session has a queue. A batch holds at most one clip of a queue, so no session waits for the backlog of
another. It holds final or provisional clips only, so a final clip does not wait for provisional ones in its
batch. A provisional clip that still waits when the next one comes is replaced by it; a final clip never is.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ser_core.analysis import Segment
from ser_core.audio.speech import Clip
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import CodedError
from ser_core.models.middle_states import MiddleStates
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer

BATCH_SAMPLES = 10 * SAMPLE_RATE  # of a batch with its padding; bounds the time that a final clip waits
MAX_WAITING = 4  # final clips in a queue; a session whose queue is full must wait (up to 40 s, 2.6 MB)
MAX_SESSIONS = 32
SHUTTING_DOWN = "The server is shutting down. Try again in a minute."
log = logging.getLogger(__name__)


class LiveError(CodedError):
    """A session that cannot start or cannot go on.

    Codes: `busy` (the maximum of sessions is reached), `closed` (the engine has ended), `bad_sample_rate`,
    `internal` (the model failed).
    """


Recognised = Callable[["Job", Segment, NDArray[np.float32] | None], None]  # and its embedding, where kept


@dataclass(frozen=True)
class Job:
    """A clip to be recognised."""

    number: int  # index of the segment in its session, from 0
    final: bool
    clip: Clip
    session: Session  # of the voice that speaks
    voice: str | None = None  # as in `Segment.voice`
    overlap: bool = False
    middle: MiddleStates | None = None  # of the clip, where voices were told apart


class SessionQueue:
    """The clips of one session that wait for the engine, and the session's callbacks.

    Callbacks run on the engine's thread, one at a time.
    """

    def __init__(
        self,
        changed: threading.Condition,
        recognised: Recognised,
        concluded: Callable[[], None],
        failed: Callable[[LiveError], None],
    ) -> None:
        self.recognised, self.concluded, self.failed = recognised, concluded, failed
        self.replaced = 0  # provisional clips that were skipped
        self.ended = False  # no more clips will come
        self.closed = False
        self._changed = changed
        self._finals: deque[Job] = deque()
        self._provisional: Job | None = None

    def put(self, job: Job) -> None:
        """Adds a clip, and drops the provisional clip that it replaces."""
        with self._changed:
            if job.final:
                self._finals.append(job)
                self._provisional = None
            else:
                self.replaced += self._provisional is not None
                self._provisional = job
            self._changed.notify_all()

    def notify(self) -> None:
        """What `full` depends on has changed elsewhere."""
        with self._changed:
            self._changed.notify_all()

    def end(self) -> None:
        """No more clips will come: `concluded` is called when all final clips are recognised."""
        with self._changed:
            self.ended = True
            self._provisional = None
            self._changed.notify_all()

    def close(self) -> None:
        """Leaves the engine; waiting clips are dropped."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether so many final clips wait that the session must not push more audio."""
        return len(self._finals) >= MAX_WAITING and not self.closed

    def wait_for_room(self) -> None:
        """Blocks while the queue is full."""
        with self._changed:
            self._changed.wait_for(lambda: not self.full)

    @property
    def finished(self) -> bool:
        """Whether the session has ended and all its final clips are recognised."""
        return self.ended and not self._finals

    def next(self, final: bool) -> Job | None:
        """The next clip, `final` or provisional; no provisional clip while a final one waits."""
        if self._finals:
            return self._finals[0] if final else None
        return None if final else self._provisional

    def take(self, job: Job) -> None:
        """Removes `job`, which `next` returned, from the queue."""
        if job.final:
            self._finals.popleft()
        else:
            self._provisional = None


class LiveEngine:
    """Runs one model on its own thread for up to `max_sessions` live sessions at a time."""

    def __init__(self, recognizer: Recognizer, max_sessions: int = MAX_SESSIONS) -> None:
        self.recognizer = recognizer
        self._max_sessions = max_sessions
        self._changed = threading.Condition()
        self._queues: deque[SessionQueue] = deque()  # the least recently served first
        self._served_final: set[SessionQueue] = set()  # those with a final clip in the last batch
        self._closed = False
        self.listening = ThreadPoolExecutor(1, "live-voices")  # tells the voices of all sessions apart
        self._thread = threading.Thread(target=self._work, name="live-engine", daemon=True)
        self._thread.start()

    def join(
        self,
        recognised: Recognised,
        concluded: Callable[[], None],
        failed: Callable[[LiveError], None],
    ) -> SessionQueue:
        """A queue for one more session; raises LiveError `busy` or `closed`.

        `recognised` gets each clip with its segment, `failed` the error that ends the session; `concluded` is
        called when the session has ended and all its final clips are recognised.
        """
        with self._changed:
            if self._closed:
                raise LiveError("closed", SHUTTING_DOWN)
            if len(self._queues) >= self._max_sessions:
                raise LiveError(
                    "busy", f"All {self._max_sessions} live sessions are taken. Try again in a minute."
                )
            queue = SessionQueue(self._changed, recognised, concluded, failed)
            self._queues.append(queue)
            return queue

    def close(self) -> None:
        """Ends the thread; open sessions fail with LiveError `closed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.listening.shutdown(cancel_futures=True)
        self._thread.join()

    def _work(self) -> None:
        while not self._closed:
            with self._changed:
                self._changed.wait_for(self._has_work)
                self._queues = deque(queue for queue in self._queues if not queue.closed)
                batch = self._next_batch()
            self._recognise(batch)
            self._conclude()
        for queue in self._queues:
            if not queue.closed:
                queue.close()
                queue.failed(LiveError("closed", SHUTTING_DOWN))

    def _has_work(self) -> bool:
        return self._closed or any(
            queue.closed or queue.finished or queue.next(final=True) or queue.next(final=False)
            for queue in self._queues
        )

    def _next_batch(self) -> list[tuple[SessionQueue, Job]]:
        """The clips to recognise next, removed from their queues.

        Final clips go first, except those of a queue that had one in the last batch: they wait until the
        other sessions have had their provisional results.
        """
        not_served = [queue for queue in self._queues if queue not in self._served_final]
        for final, queues in ((True, not_served), (False, self._queues), (True, self._queues)):
            batch = _batch_from(queues, final)
            if batch:
                break
        self._served_final = {queue for queue, job in batch if job.final}
        for queue, job in batch:
            queue.take(job)
            self._queues.remove(queue)
            self._queues.append(queue)
        return batch

    def _recognise(self, batch: list[tuple[SessionQueue, Job]]) -> None:
        if not batch:
            return
        clips, sessions = [job.clip for _, job in batch], [job.session for _, job in batch]
        middle = [job.middle for _, job in batch]
        embeddings: NDArray[np.float32] | None = None
        try:
            if any(job.voice for _, job in batch):  # all are final, see `_next_batch`
                segments, embeddings = self.recognizer.segments_with_embeddings(clips, sessions, middle)
            else:
                segments = self.recognizer.segments(clips, sessions, [job.final for _, job in batch])
        except Exception:  # a fault with these clips must not end other sessions
            log.exception("the model failed on %d live clips", len(batch))
            for queue, _ in batch:
                queue.close()
                queue.failed(LiveError("internal", "The model failed on this sound. Start a new session."))
            return
        rows = [None] * len(batch) if embeddings is None else embeddings
        for (queue, job), segment, row in zip(batch, segments, rows, strict=True):
            if not queue.closed:
                queue.recognised(job, replace(segment, voice=job.voice, overlap=job.overlap), row)
        with self._changed:
            self._changed.notify_all()  # a full queue may have room again

    def _conclude(self) -> None:
        """Closes the queues of finished sessions and calls their `concluded`."""
        with self._changed:
            finished = [queue for queue in self._queues if queue.finished and not queue.closed]
        for queue in finished:
            queue.close()
            queue.concluded()


def _batch_from(queues: Iterable[SessionQueue], final: bool) -> list[tuple[SessionQueue, Job]]:
    """One clip of each of `queues`, in their order, as many as fit in a batch."""
    batch: list[tuple[SessionQueue, Job]] = []
    longest = 0
    for queue in queues:
        job = queue.next(final)
        if job is None:
            continue
        padded = max(longest, len(job.clip.samples))
        if not batch or padded * (len(batch) + 1) <= BATCH_SAMPLES:
            longest = padded
            batch.append((queue, job))
    return batch

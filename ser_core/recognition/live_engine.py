"""One model for everybody who speaks: it takes clips of several sessions at once, each session in its turn.

Sessions queue in lanes. A batch has at most one clip of a lane, so that nobody waits for another's backlog,
and is of finals or of provisional clips, so that a final does not wait for the others in its batch. A
provisional clip that is still waiting when the next one comes is replaced by it; a final never is.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ser_core.analysis import Segment
from ser_core.audio.speech import Clip
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import CodedError
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer

BATCH_SAMPLES = 10 * SAMPLE_RATE  # of a batch with its padding: what a final may have to wait for
MAX_WAITING = 4  # finals of a session that wait; its sound must wait with them (up to 40 s, 2.6 MB)
MAX_SESSIONS = 32
SHUTTING_DOWN = "The server is shutting down. Try again in a minute."
log = logging.getLogger(__name__)


class LiveError(CodedError):
    """A session that cannot be, or cannot go on.

    Codes: `busy` (as many sessions as there may be), `closed` (the engine has ended), `bad_sample_rate`,
    `internal` (the model failed).
    """


@dataclass(frozen=True)
class Job:
    """A clip on its way through the model."""

    number: int  # of the segment in its session, from 0
    final: bool
    clip: Clip


class Lane:
    """A session's place in the engine. Its callbacks are called on the engine's thread, one at a time."""

    def __init__(
        self,
        changed: threading.Condition,
        recognised: Callable[[Job, Segment], None],
        concluded: Callable[[], None],
        failed: Callable[[LiveError], None],
    ) -> None:
        self.recognised, self.concluded, self.failed = recognised, concluded, failed
        self.session = Session()
        self.replaced = 0  # provisional clips that the model had no time for
        self.ended = False  # no clip will come
        self.left = False
        self._changed = changed
        self._finals: deque[Job] = deque()
        self._provisional: Job | None = None

    def put(self, job: Job) -> None:
        """Queues a clip, and forgets a provisional one that it outdates."""
        with self._changed:
            if job.final:
                self._finals.append(job)
                self._provisional = None
            else:
                self.replaced += self._provisional is not None
                self._provisional = job
            self._changed.notify_all()

    def end(self) -> None:
        """Says that no clip will come; `concluded` is called when all finals were recognised."""
        with self._changed:
            self.ended = True
            self._provisional = None
            self._changed.notify_all()

    def leave(self) -> None:
        """Gives the place up; what still waits is dropped."""
        with self._changed:
            self.left = True
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether so many finals wait that the session must hold its sound back."""
        return len(self._finals) >= MAX_WAITING and not self.left

    def wait_for_room(self) -> None:
        """Blocks while the lane is full."""
        with self._changed:
            self._changed.wait_for(lambda: not self.full)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be done but to say so."""
        return self.ended and not self._finals

    def next(self, final: bool) -> Job | None:
        """The clip that waits longest, of the kind asked for; nothing provisional overtakes a final."""
        if self._finals:
            return self._finals[0] if final else None
        return None if final else self._provisional

    def take(self, job: Job) -> None:
        """Takes `job`, got from `next`, out of the queue."""
        if job.final:
            self._finals.popleft()
        else:
            self._provisional = None


class LiveEngine:
    """Runs one model, on a thread of its own, for up to `max_sessions` live sessions at a time."""

    def __init__(self, recognizer: Recognizer, max_sessions: int = MAX_SESSIONS) -> None:
        self.recognizer = recognizer
        self._max_sessions = max_sessions
        self._changed = threading.Condition()
        self._lanes: deque[Lane] = deque()  # the one that was served longest ago first
        self._served_final: set[Lane] = set()  # those that had a final in the last batch
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="live-engine", daemon=True)
        self._thread.start()

    def join(
        self,
        recognised: Callable[[Job, Segment], None],
        concluded: Callable[[], None],
        failed: Callable[[LiveError], None],
    ) -> Lane:
        """A lane for one more session; LiveError `busy` or `closed` if there is none."""
        with self._changed:
            if self._closed:
                raise LiveError("closed", SHUTTING_DOWN)
            if len(self._lanes) >= self._max_sessions:
                raise LiveError(
                    "busy", f"All {self._max_sessions} live sessions are taken. Try again in a minute."
                )
            lane = Lane(self._changed, recognised, concluded, failed)
            self._lanes.append(lane)
            return lane

    def close(self) -> None:
        """Ends the thread; sessions still open fail with LiveError `closed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while not self._closed:
            with self._changed:
                self._changed.wait_for(self._something_to_do)
                self._lanes = deque(lane for lane in self._lanes if not lane.left)
                batch = self._next_batch()
            self._recognise(batch)
            self._conclude()
        for lane in self._lanes:
            if not lane.left:
                lane.leave()
                lane.failed(LiveError("closed", SHUTTING_DOWN))

    def _something_to_do(self) -> bool:
        return self._closed or any(
            lane.left or lane.finished or lane.next(final=True) or lane.next(final=False)
            for lane in self._lanes
        )

    def _next_batch(self) -> list[tuple[Lane, Job]]:
        """The clips to recognise next, taken out of their lanes.

        Finals go first; only a backlog, the next final of a lane that had one in the last batch, waits until
        the others have had their provisional results.
        """
        fresh = [lane for lane in self._lanes if lane not in self._served_final]
        for final, lanes in ((True, fresh), (False, self._lanes), (True, self._lanes)):
            batch = _fitting(lanes, final)
            if batch:
                break
        self._served_final = {lane for lane, job in batch if job.final}
        for lane, job in batch:
            lane.take(job)
            self._lanes.remove(lane)
            self._lanes.append(lane)
        return batch

    def _recognise(self, batch: list[tuple[Lane, Job]]) -> None:
        if not batch:
            return
        try:
            segments = self.recognizer.segments(
                [job.clip for _, job in batch],
                [lane.session for lane, _ in batch],
                [job.final for _, job in batch],
            )
        except Exception:  # whatever breaks with these clips must not end the sessions of others
            log.exception("the model failed on %d live clips", len(batch))
            for lane, _ in batch:
                lane.leave()
                lane.failed(LiveError("internal", "The model failed on this sound. Start a new session."))
            return
        for (lane, job), segment in zip(batch, segments, strict=True):
            if not lane.left:
                lane.recognised(job, segment)
        with self._changed:
            self._changed.notify_all()  # there may be room again

    def _conclude(self) -> None:
        """Tells the sessions that have ended, and frees their places."""
        with self._changed:
            finished = [lane for lane in self._lanes if lane.finished and not lane.left]
        for lane in finished:
            lane.leave()
            lane.concluded()


def _fitting(lanes: Iterable[Lane], final: bool) -> list[tuple[Lane, Job]]:
    """A clip of each of `lanes`, in their order, as many as fit in a batch."""
    batch: list[tuple[Lane, Job]] = []
    longest = 0
    for lane in lanes:
        job = lane.next(final)
        if job is None:
            continue
        padded = max(longest, len(job.clip.samples))
        if not batch or padded * (len(batch) + 1) <= BATCH_SAMPLES:
            longest = padded
            batch.append((lane, job))
    return batch

"""One model for many sessions: what shares a batch, whose turn it is, and what gives way under load."""

import queue
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from support import SAMPLE_RATE, random_bundle, syllables

from ser_core.checkpoint import bundle
from ser_core.recognition.live import Ended, Event, Failed, FallingBehind, LiveSegment, LiveSession
from ser_core.recognition.live_engine import BATCH_SAMPLES, MAX_WAITING, LiveEngine, LiveError
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.torch_runtime import TorchRuntime

TIMEOUT_S = 60  # for events that must come
WORD = syllables(1, seed=4)  # half a second of silence, a vowel and a pause that ends it


class Gate:
    """Holds the model before each batch until it is opened, and keeps the size of each."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.entered = threading.Semaphore(0)
        self.fails = False
        self._let = threading.Semaphore(0)

    def __call__(self, model, inputs) -> None:
        self.batches.append(len(inputs[0]))
        self.entered.release()
        assert self._let.acquire(timeout=TIMEOUT_S)
        if self.fails:
            raise RuntimeError("out of memory")

    def wait(self) -> None:
        """Waits until a batch stands before the model."""
        assert self.entered.acquire(timeout=TIMEOUT_S)

    def open(self, batches: int = 1000) -> None:
        self._let.release(batches)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def engine(gate, tmp_path) -> Iterator[LiveEngine]:
    """An engine for three sessions whose model waits at the gate."""
    description, model = bundle.load(random_bundle(tmp_path))
    model.register_forward_pre_hook(gate)
    engine = LiveEngine(Recognizer(TorchRuntime(description, model, "cpu")), max_sessions=3)
    yield engine
    gate.open()
    engine.close()


class Speaker:
    """A session and the results it was given, one list in common with other speakers where order matters."""

    def __init__(self, engine: LiveEngine, name: str = "", log: list[str] | None = None) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self._name, self._log = name, [] if log is None else log
        self.session = LiveSession(engine, SAMPLE_RATE, self._receive)

    def _receive(self, event: Event) -> None:
        if isinstance(event, LiveSegment):
            self._log.append(f"{self._name} {'final' if event.final else 'provisional'}")
        self.events.put(event)

    def say(self, words: int = 1) -> "Speaker":
        for _ in range(words):
            self.session.push(WORD)
        return self

    def all(self) -> list[Event]:
        """Every event to the last."""
        events = [self.events.get(timeout=TIMEOUT_S)]
        while not isinstance(events[-1], Ended | Failed):
            events.append(self.events.get(timeout=TIMEOUT_S))
        return events


def finals(events: list[Event]) -> list[LiveSegment]:
    return [event for event in events if isinstance(event, LiveSegment) and event.final]


def provisional(events: list[Event]) -> list[LiveSegment]:
    return [event for event in events if isinstance(event, LiveSegment) and not event.final]


def test_sessions_share_a_batch(engine, gate):
    first = Speaker(engine).say()
    gate.wait()  # the model is busy with the first one's word while the others speak
    others = [Speaker(engine).say(), Speaker(engine).say()]
    gate.open()
    for speaker in [first, *others]:
        speaker.session.finish()
        assert len(finals(speaker.all())) == 1
    assert max(gate.batches) >= 2


def test_a_session_with_a_backlog_lets_the_others_in(engine, gate):
    log: list[str] = []
    greedy = Speaker(engine, "greedy", log).say()
    gate.wait()
    greedy.say(MAX_WAITING)
    modest = Speaker(engine, "modest", log).say()
    gate.open()
    for speaker in (greedy, modest):
        speaker.session.finish()
        speaker.all()
    assert log.index("modest final") <= 2
    assert log.count("greedy final") == MAX_WAITING + 1


def test_a_final_goes_before_the_provisional_results_of_others(engine, gate):
    log: list[str] = []
    first = Speaker(engine, "first", log).say()
    gate.wait()
    middle = Speaker(engine, "middle", log)
    middle.session.push(WORD[: len(WORD) // 2])
    ending = Speaker(engine, "ending", log).say()
    gate.open()
    for speaker in (first, middle, ending):
        speaker.session.finish()
        speaker.all()
    assert log.index("ending final") < [entry.split()[0] for entry in log].index("middle")


def test_a_backlog_of_finals_leaves_the_others_their_provisional_results(engine, gate):
    log: list[str] = []
    greedy = Speaker(engine, "greedy", log).say()
    gate.wait()
    greedy.say(MAX_WAITING)
    talking = Speaker(engine, "talking", log)
    talking.session.push(WORD[: len(WORD) // 2])
    gate.open()
    greedy.session.finish()
    greedy.all()
    assert log.index("talking provisional") <= 2


def test_an_overloaded_model_skips_provisional_results_never_final_ones_and_says_so(engine, gate):
    speaker = Speaker(engine)
    speaker.session.push(WORD[: len(WORD) // 2])
    gate.wait()
    long = syllables(12, seed=5, pause_s=0.05)
    for at in range(0, len(long), 1600):
        speaker.session.push(long[at : at + 1600])
    gate.open()
    speaker.session.finish()
    events = speaker.all()
    first, second, *_ = [event.skipped for event in events if isinstance(event, FallingBehind)]
    assert first == 1
    assert 9 <= second - first <= 11  # in the 5 s between two notices, two results a second were due
    assert [event.number for event in finals(events)] == list(range(len(finals(events))))
    assert len(finals(events)) == len(events[-1].analysis.segments) >= 1


def test_a_batch_is_no_longer_than_a_final_may_wait(engine, gate):
    speakers = [Speaker(engine) for _ in range(3)]
    gate_keeper = speakers[0].say()
    gate.wait()
    long = syllables(12, seed=5, pause_s=0.05)  # finals of nearly 10 s each
    for speaker in speakers:
        speaker.session.push(long)
    gate.open()
    for speaker in [gate_keeper, *speakers[1:]]:
        speaker.session.finish()
        assert all(event.segment.end - event.segment.start <= 10 for event in finals(speaker.all()))
    assert BATCH_SAMPLES < 2 * 10 * SAMPLE_RATE
    assert max(gate.batches) < 3


def test_a_session_that_sends_faster_than_the_model_can_hear_is_told_to_wait(engine, gate):
    speaker = Speaker(engine)
    assert not speaker.session.full
    speaker.say()
    gate.wait()
    speaker.say(MAX_WAITING)
    assert speaker.session.full
    gate.open()
    speaker.session.wait_for_room()
    assert not speaker.session.full


def test_past_the_limit_a_session_is_refused_until_one_ends(engine, gate):
    gate.open()
    speakers = [Speaker(engine) for _ in range(3)]
    with pytest.raises(LiveError, match="All 3 live sessions are taken") as refused:
        Speaker(engine)
    assert refused.value.code == "busy"
    speakers[0].session.finish()
    speakers[0].all()
    speakers[1].session.close()
    Speaker(engine)


def test_a_session_that_leaves_takes_its_waiting_sound_with_it(engine, gate):
    staying = Speaker(engine).say()
    gate.wait()
    leaving = Speaker(engine).say(3)
    leaving.session.close()
    gate.open()
    staying.session.finish()
    assert len(finals(staying.all())) == 1
    assert not finals(list(leaving.events.queue))


def test_a_model_that_fails_ends_only_the_sessions_it_failed_on(engine, gate):
    unlucky = Speaker(engine).say()
    gate.wait()
    gate.fails = True
    gate.open(1)
    failed = unlucky.all()[-1]
    assert isinstance(failed, Failed)
    assert failed.error.code == "internal"
    gate.fails = False
    gate.open()
    lucky = Speaker(engine).say()
    lucky.session.finish()
    assert len(finals(lucky.all())) == 1


def test_a_closed_engine_ends_its_sessions_and_takes_no_more(engine, gate):
    gate.open()
    speaker = Speaker(engine)
    engine.close()
    assert speaker.all()[-1].error.code == "closed"
    with pytest.raises(LiveError, match="shutting down"):
        Speaker(engine)


def test_nothing_follows_the_end_of_a_session(engine, gate):
    gate.open()
    speaker = Speaker(engine).say(2)
    speaker.session.finish()
    speaker.all()
    engine.close()
    assert speaker.events.empty()


def test_silence_never_reaches_the_model(engine, gate):
    speaker = Speaker(engine)
    speaker.session.push(np.zeros(30 * SAMPLE_RATE, np.float32))
    speaker.session.finish()
    assert speaker.all()[-1].analysis.summary.label == "no_speech"
    assert not gate.batches

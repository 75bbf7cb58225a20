"""Live sound: the same answers as from a file, however it is cut, and nothing kept that is not needed."""

import queue

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SAMPLE_RATE, random_bundle, syllables

from ser_core.live import Ended, Event, LiveSegment, LiveSession
from ser_core.live_engine import LiveEngine
from ser_core.recognizer import Recognizer

PATIENCE_S = 60  # for events that must come


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    recognizer = Recognizer.load(random_bundle(tmp_path_factory.mktemp("checkpoint")), device="cpu")
    engine = LiveEngine(recognizer)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Half a minute of vowels and pauses at 48 kHz, int16, one stretch of it longer than a segment can be."""
    sound = np.concatenate([syllables(9), syllables(14, seed=2, pause_s=0.05), syllables(2, seed=3)])
    return pcm(soxr.resample(sound, SAMPLE_RATE, 48_000))


def pcm(samples: np.ndarray) -> np.ndarray:
    return np.round(samples.clip(-1, 1) * 32767).astype(np.int16)


def heard(engine: LiveEngine, sample_rate: int, chunks) -> list[Event]:
    """Every event of a session that is given `chunks` and finished."""
    arrived: queue.Queue[Event] = queue.Queue()
    session = LiveSession(engine, sample_rate, arrived.put, source="a.wav")
    for chunk in chunks:
        session.wait_for_room()
        session.push(chunk)
    session.finish()
    events = [arrived.get(timeout=PATIENCE_S)]
    while not isinstance(events[-1], Ended):
        events.append(arrived.get(timeout=PATIENCE_S))
    return events


def segments(events: list[Event], final: bool) -> list[LiveSegment]:
    return [event for event in events if isinstance(event, LiveSegment) and event.final == final]


def as_file(engine: LiveEngine, folder, samples: np.ndarray, sample_rate: int):
    path = folder / "a.wav"
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")
    return engine.recognizer.analyze_file(path, source="a.wav")


def assert_same(live, file) -> None:
    """Times to the sample, everything else but the last digits of probabilities."""
    assert (live.source, live.duration, live.quality) == (file.source, file.duration, file.quality)
    assert [(s.start, s.end) for s in live.segments] == [(s.start, s.end) for s in file.segments]
    for a, b in zip([*live.segments, live.summary], [*file.segments, file.summary], strict=True):
        assert a.label == b.label
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-4)


@pytest.mark.parametrize("sample_rate", [16_000, 48_000, 44_100])
@settings(max_examples=4, deadline=None)
@given(cuts=st.lists(st.integers(0, 30 * 48_000), max_size=40))
def test_any_cutting_gives_what_the_file_gives(engine, talk, tmp_path_factory, sample_rate, cuts):
    sound = talk[::3].copy() if sample_rate == SAMPLE_RATE else talk
    file = as_file(engine, tmp_path_factory.mktemp("file"), sound, sample_rate)
    assert len(file.segments) > 5
    ended = heard(engine, sample_rate, np.split(sound, sorted(cuts)))[-1]
    assert ended.samples_received == len(sound)
    assert_same(ended.analysis, file)

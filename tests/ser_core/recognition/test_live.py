"""Live sound: the same answers as from a file, however it is cut, and nothing kept that is not needed."""

import queue
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SAMPLE_RATE, random_bundle, syllables

from ser_core.recognition.live import Ended, Event, Level, LiveSegment, LiveSession
from ser_core.recognition.live_engine import LiveEngine, LiveError
from ser_core.recognition.recognizer import Recognizer

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


def events_of(engine: LiveEngine, sample_rate: int, chunks) -> list[Event]:
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


def next_segment(arrived: queue.Queue[Event]) -> LiveSegment:
    """The next result, without the levels before it."""
    while not isinstance(event := arrived.get(timeout=PATIENCE_S), LiveSegment):
        pass
    return event


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


def test_in_bfloat16_too_live_sound_gives_what_its_file_gives(talk, tmp_path):
    """A clip is judged beside others in a file and alone while it is spoken; few bits must not show it."""
    folder = random_bundle(tmp_path / "checkpoint", "whisper_tiny_distilled")
    engine = LiveEngine(Recognizer.load(folder, "cpu", "bfloat16"))
    sound = talk[::3].copy()
    events = events_of(engine, SAMPLE_RATE, np.array_split(sound, len(sound) // 1600))
    engine.close()
    live = [event.segment.probabilities for event in segments(events, final=True)]
    file = [segment.probabilities for segment in as_file(engine, tmp_path, sound, SAMPLE_RATE).segments]
    assert len(file) > 5
    assert live == [pytest.approx(probabilities, abs=1e-5) for probabilities in file]


@pytest.fixture(scope="module", params=[16_000, 48_000])
def recorded(request, engine, talk, tmp_path_factory):
    """The talk at one sampling rate in Hz, and what its file gives."""
    sound = talk[::3].copy() if request.param == SAMPLE_RATE else talk
    file = as_file(engine, tmp_path_factory.mktemp("file"), sound, request.param)
    assert len(file.segments) > 5
    return request.param, sound, file


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 30 * 48_000), max_size=40))
def test_any_cutting_gives_what_the_file_gives(engine, recorded, cuts):
    sample_rate, sound, file = recorded
    ended = events_of(engine, sample_rate, np.split(sound, sorted(cuts)))[-1]
    assert ended.samples_received == len(sound)
    assert_same(ended.analysis, file)


@pytest.mark.parametrize("size", [331, 4096])
def test_chunks_of_any_one_size_give_what_the_file_gives(engine, recorded, size):
    sample_rate, sound, file = recorded
    chunks = [sound[at : at + size] for at in range(0, len(sound), size)]
    assert_same(events_of(engine, sample_rate, chunks)[-1].analysis, file)


def test_a_real_clip_gives_what_its_file_gives(engine, ravdess_angry):
    sound, sample_rate = soundfile.read(ravdess_angry, dtype="int16")
    file = engine.recognizer.analyze_file(ravdess_angry, source="a.wav")
    assert file.segments
    chunks = [sound[at : at + 331] for at in range(0, len(sound), 331)]
    assert_same(events_of(engine, sample_rate, chunks)[-1].analysis, file)


def test_the_shipped_model_hears_live_sound_as_it_hears_files(talk, tmp_path):
    engine = LiveEngine(Recognizer.load(device="cpu"))
    file = as_file(engine, tmp_path, talk, 48_000)
    live = events_of(engine, 48_000, [talk[at : at + 4800] for at in range(0, len(talk), 4800)])[-1].analysis
    engine.close()
    assert len(file.segments) > 5
    assert_same(live, file)


def test_what_is_said_before_is_the_final_of_the_same_number(engine, talk):
    events = events_of(engine, 48_000, [talk])
    ended = [event.segment for event in segments(events, final=True)]
    assert ended == list(events[-1].analysis.segments)
    assert [event.number for event in segments(events, final=True)] == list(range(len(ended)))
    for event in segments(events, final=False):
        assert event.segment.start == ended[event.number].start
        assert sum(event.segment.probabilities.values()) == pytest.approx(1)


def test_nothing_provisional_comes_after_the_final(engine, talk):
    numbers = [(e.number, e.final) for e in events_of(engine, 48_000, [talk]) if isinstance(e, LiveSegment)]
    assert numbers == sorted(numbers)


def test_provisional_results_grow_with_the_segment(engine):
    """Each second is waited for: of sound that comes faster than the model hears, some would be left out."""
    sound = pcm(syllables(14, seed=2, pause_s=0.05))
    arrived: queue.Queue[Event] = queue.Queue()
    session = LiveSession(engine, SAMPLE_RATE, arrived.put)
    segments = []
    for second in np.split(sound[: 8 * SAMPLE_RATE], 8):
        session.push(second)
        segments.append(next_segment(arrived))
    session.close()
    assert {(event.number, event.final) for event in segments} == {(0, False)}
    assert all(a.segment.end + 0.49 < b.segment.end for a, b in pairwise(segments))


def test_levels_are_those_of_the_sound(engine):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    sound = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), tone])
    levels = [
        event
        for event in events_of(engine, SAMPLE_RATE, np.split(sound, [7, 900]))
        if isinstance(event, Level)
    ]
    assert [level.time for level in levels] == pytest.approx(np.arange(1, 21) / 10)
    assert [level.peak_dbfs for level in levels[:10]] == [-120] * 10
    assert levels[15].peak_dbfs == pytest.approx(-6.02, abs=0.05)
    assert levels[15].rms_dbfs == pytest.approx(-9.03, abs=0.05)


def test_levels_say_when_one_speaks(engine):
    sound = np.concatenate([syllables(1, seed=1), np.zeros(SAMPLE_RATE, np.float32)])
    chunks = np.array_split(sound, 300)
    speech = [event.speech for event in events_of(engine, SAMPLE_RATE, chunks) if isinstance(event, Level)]
    assert not any(speech[:5])
    assert any(speech)
    assert not any(speech[-5:])


def test_float_and_int16_are_heard_alike(engine):
    sound = pcm(syllables(2))
    as_float = sound / np.float32(32768)
    ended = [events_of(engine, SAMPLE_RATE, [chunk])[-1].analysis for chunk in (sound, as_float)]
    assert_same(*ended)


@pytest.mark.parametrize(
    "chunk",
    [np.zeros(10), np.zeros((10, 2), np.int16), np.zeros(10, np.int32), np.array([0, np.nan], np.float32)],
    ids=["float64", "stereo", "int32", "not a number"],
)
def test_what_is_no_mono_sound_is_refused(engine, chunk):
    session = LiveSession(engine, SAMPLE_RATE, lambda event: None)
    with pytest.raises(ValueError, match=r"mono|numbers"):
        session.push(chunk)
    session.close()


@pytest.mark.parametrize("sample_rate", [0, -1, 3_999, 384_001])
def test_a_rate_that_no_file_may_have_is_refused(engine, sample_rate):
    with pytest.raises(LiveError, match="Hz") as refused:
        LiveSession(engine, sample_rate, lambda event: None)
    assert refused.value.code == "bad_sample_rate"


def test_memory_does_not_grow_with_the_session(engine):
    minute = np.concatenate([syllables(2), np.zeros(57 * SAMPLE_RATE, np.float32)])
    session = LiveSession(engine, SAMPLE_RATE, lambda event: None)
    session.push(minute)
    tracemalloc.start()
    for chunk in 8 * np.array_split(minute, 30):  # 31 MB
        session.wait_for_room()
        session.push(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    session.close()
    assert peak < 10e6

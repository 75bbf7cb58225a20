"""Turns of recordings and of live sessions, with the shipped networks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from support import ROOT, syllables

from ser_core.audio.vad import Span, segment
from ser_core.audio.waveform import Waveform
from ser_core.recognition import diarization
from ser_core.recognition.diarization import Diarizer, Turn, default_diarizer


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return default_diarizer()


@pytest.fixture(scope="module")
def conversation(shared_data) -> tuple[np.ndarray, list[Span]]:
    """A man and a woman of RAVDESS in turn, each through several emotions, and the speech in it."""
    parts = []
    for emotion in range(1, 9):
        for actor in ("05", "12"):
            name = f"Actor_{actor}/03-01-0{emotion}-01-02-01-{actor}.flac"
            parts.append(soundfile.read(shared_data / "ravdess" / name, dtype="float32")[0])
    samples = np.concatenate(parts)
    return samples, segment(Waveform(samples))


def covered(turns: list[Turn]) -> list[tuple[int, int]]:
    return [(turn.span.start, turn.span.end) for turn in turns]


def assert_covers(turns: list[Turn], spans: list[Span]) -> None:
    """The turns are in order, and each span is covered by turns inside it."""
    at = 0
    for span in spans:
        start = span.start
        while start < span.end:
            assert turns[at].span.start == start
            assert start < turns[at].span.end <= span.end
            start, at = turns[at].span.end, at + 1
    assert at == len(turns)


def test_two_people_in_turn_are_told_apart(diarizer, conversation):
    samples, spans = conversation
    turns = diarizer.turns(samples, spans)
    assert_covers(turns, spans)
    assert {turn.voice for turn in turns} <= {0, 1, None}
    assert turns[0].voice == 0
    assert 1 in {turn.voice for turn in turns}
    # Neighbouring spans of RAVDESS are the two actors by turns: each voice has about half of the time.
    time = {voice: sum(t.span.end - t.span.start for t in turns if t.voice == voice) for voice in (0, 1)}
    assert 0.5 < time[0] / time[1] < 2


def test_live_and_file_agree_once_settled(diarizer, conversation):
    samples, spans = conversation
    live = diarizer.live()
    said = [live.turns(samples[span.start : span.end], span) for span in spans]
    for span, turns in zip(spans, said, strict=True):
        assert_covers(turns, [span])
    assert live.settle() == diarizer.turns(samples, spans)
    assert live.settle(2) == diarizer.turns(samples, spans, voices=2)


def test_what_live_says_is_mostly_what_it_settles_on(diarizer, conversation):
    samples, spans = conversation
    live = diarizer.live()
    said = np.full(len(samples), -1)
    for span in spans:
        for turn in live.turns(samples[span.start : span.end], span):
            said[turn.span.start : turn.span.end] = -2 if turn.voice is None else turn.voice
    settled = np.full(len(samples), -1)
    for turn in live.settle():
        settled[turn.span.start : turn.span.end] = -2 if turn.voice is None else turn.voice
    speech = settled != -1
    assert (said[speech] == settled[speech]).mean() > 0.7


def test_hidden_states_are_kept_of_so_many_spans(diarizer, conversation, monkeypatch):
    samples, spans = conversation
    monkeypatch.setattr(diarization, "KEPT_SPANS", 2)
    turns = diarizer.turns(samples, spans[:4])
    assert covered(turns) == [(span.start, span.end) for span in spans[:4]]
    assert [turn.middle is not None for turn in turns] == [True, True, False, False]


def test_threads_share_one_diarizer(diarizer, conversation):
    samples, spans = conversation
    assert default_diarizer() is diarizer
    alone = diarizer.turns(samples, spans[:6])
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: diarizer.turns(samples, spans[:6]), range(2)))
    assert both == [alone, alone]


def test_a_number_of_voices_that_is_told_is_kept(diarizer, conversation):
    samples, spans = conversation
    assert {turn.voice for turn in diarizer.turns(samples, spans, voices=1)} == {0}
    assert {0, 1, 2} <= {turn.voice for turn in diarizer.turns(samples, spans, voices=3)}
    assert_covers(diarizer.turns(samples, spans, voices=40), spans)
    with pytest.raises(ValueError, match="at least one voice"):
        diarizer.turns(samples, spans, voices=0)


def test_progress_reaches_the_end(diarizer, conversation):
    samples, spans = conversation
    shares: list[float] = []
    diarizer.turns(samples, spans[:4], progress=shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_a_recording_without_speech_has_no_turns(diarizer):
    assert diarizer.turns(np.zeros(16_000, np.float32), []) == []
    assert diarizer.live().settle() == []


@pytest.mark.parametrize("length", [1, 100, 399, 2_000, 7_999, 9_000])
def test_a_span_shorter_than_the_shortest_vector_is_one_turn(diarizer, length):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, 20_000).astype(np.float32)
    span = Span(500, 500 + length)
    assert diarizer.turns(samples, [span]) == [Turn(span, 0, overlap=False)]
    live = diarizer.live()
    assert covered(live.turns(samples[span.start : span.end], span)) == [(span.start, span.end)]


@pytest.mark.parametrize(
    "sound",
    [np.zeros(160_000), np.sin(np.arange(160_000) * 0.2) * 0.5, np.ones(160_000)],
    ids=["silence", "tone", "offset"],
)
def test_what_is_no_speech_is_still_covered(diarizer, sound):
    samples, spans = sound.astype(np.float32), [Span(0, 60_000), Span(60_000, 61_000), Span(70_000, 160_000)]
    assert_covers(diarizer.turns(samples, spans), spans)


def music(seconds: float) -> np.ndarray:
    """A plucked melody, four notes a second, float32 at 16 kHz; the speech detector takes it for speech."""
    rng = np.random.default_rng(0)
    time = np.arange(int(16_000 * seconds)) / 16_000
    sound = np.zeros_like(time)
    for beat in range(int(4 * seconds)):
        later = time - beat / 4
        strength = np.where((later >= 0) & (later < 0.5), np.exp(-6 * later), 0)
        pitch = rng.choice([220, 247, 262, 294, 330, 349, 392, 440])
        harmonics = {1: 1, 2: 1 / 2, 3: 1 / 3, 4: 1 / 4, 1.25: 1 / 2, 1.5: 1 / 2}
        sound += strength * sum(
            share * np.sin(2 * np.pi * pitch * ratio * time) for ratio, share in harmonics.items()
        )
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def example(name: str) -> np.ndarray:
    return soundfile.read(ROOT / "assets" / "examples" / f"{name}.ogg", dtype="float32")[0]


@pytest.mark.parametrize("told", [None, 2])
def test_music_between_turns_is_nobodys_voice(diarizer, told):
    talk, tune = example("conversation"), music(4)
    spans = segment(Waveform(talk))
    middle = (spans[3].end + spans[4].start) // 2  # of eight clips
    samples = np.concatenate([talk[:middle], tune, talk[middle:], tune])
    turns = diarizer.turns(samples, segment(Waveform(samples)), told)
    voices = []
    for start in (middle, len(samples) - len(tune)):
        inside = (start + len(tune) // 4, start + 3 * len(tune) // 4)
        voices += [t.voice for t in turns if t.span.start < inside[1] and t.span.end > inside[0]]
    assert set(voices) == {None}
    assert {turn.voice for turn in turns} == {0, 1, None}


def test_music_beside_one_voice_makes_no_second_one(diarizer):
    samples = np.concatenate([example("woman"), music(4), example("woman"), music(4), example("woman")])
    assert {turn.voice for turn in diarizer.turns(samples, segment(Waveform(samples)))} == {0}


def test_a_word_of_somebody_else_is_no_voice_of_its_own(diarizer):
    word = example("man")[16_000:24_000]
    samples = np.concatenate([*[example("woman")] * 4, word, *[example("woman")] * 4])
    turns = diarizer.turns(samples, segment(Waveform(samples)))
    assert {turn.voice for turn in turns} - {None} == {0}


def test_generated_speech_of_one_pitch_is_one_voice(diarizer):
    samples = syllables(20)
    spans = segment(Waveform(samples))
    turns = diarizer.turns(samples, spans)
    assert_covers(turns, spans)
    assert {turn.voice for turn in turns} == {0}


def test_the_excerpt_of_a_telephone_call_has_its_two_voices(diarizer, shared_data):
    samples = soundfile.read(shared_data / "vad" / "pyannote_sample.flac", dtype="float32")[0]
    turns = diarizer.turns(samples, segment(Waveform(samples)))
    assert {turn.voice for turn in turns if turn.voice is not None} == {0, 1}

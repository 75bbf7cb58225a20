"""Voices of a recording: each is judged with what was heard of it, and named in order of appearance."""

import queue
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT, SAMPLE_RATE, SHARED, gated_bundle, syllables

from ser_core.analysis import Analysis, make_segment
from ser_core.audio.channels import AUTO, EACH, MIX
from ser_core.audio.isolated import Decoder
from ser_core.audio.speech import cut
from ser_core.audio.vad import Span, segment
from ser_core.audio.waveform import Waveform
from ser_core.models.middle_states import MiddleStates
from ser_core.recognition.diarization import LiveVoices, Turn, default_diarizer
from ser_core.recognition.live import Ended, Failed, LiveSegment, LiveSession, settled
from ser_core.recognition.live_engine import LiveEngine
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import ONE_VOICE, VoiceOptions

FAULTS = SHARED / "faults"
ASSETS = ROOT / "assets"
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="needs the recordings of ../shared/faults")
APART = VoiceOptions(EACH)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory) -> Recognizer:
    """A model that judges a clip by its session."""
    return Recognizer.load(gated_bundle(tmp_path_factory.mktemp("voices")), "cpu")


def written(path: Path, channels: list[np.ndarray]) -> Path:
    longest = max(map(len, channels))
    samples = [np.pad(channel, (0, longest - len(channel))) for channel in channels]
    soundfile.write(path, np.stack(samples, axis=1), SAMPLE_RATE, subtype="FLOAT")
    return path


def judged(analysis: Analysis, channel: int | None = None) -> np.ndarray:
    """Start, end and probabilities of the segments, `(segment, 2 + class)`."""
    own = [one for one in analysis.segments if channel in (None, one.channel)]
    return np.array([(one.start, one.end, *one.probabilities.values()) for one in own])


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, 99), st.floats(80, 260), st.floats(0.4, 1.5)),
        min_size=2,
        max_size=4,
    )
)
def test_voices_that_alternate_are_judged_as_each_alone(recognizer, tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("alternate")
    sounds = [syllables(count, seed, pitch, pause) for count, seed, pitch, pause in drawn]
    together = recognizer.analyze_file(written(folder / "both.wav", sounds), options=APART)
    for number, sound in enumerate(sounds, start=1):
        alone = recognizer.analyze_file(written(folder / f"{number}.wav", [sound]))
        np.testing.assert_allclose(judged(together, number), judged(alone), atol=1e-4)


def test_a_session_matters_to_these_voices(recognizer, tmp_path):
    """Else the test above would hold for any model."""
    sounds = [syllables(4, 1, 110), syllables(4, 2, 210, 0.4)]
    apart = recognizer.analyze_file(written(tmp_path / "both.wav", sounds), options=APART)
    line = np.concatenate(sounds)
    one = judged(recognizer.analyze_file(written(tmp_path / "line.wav", [line])))
    second = judged(apart, 2)
    assert abs(one[-len(second) :, 2:] - second[:, 2:]).max() > 1e-3


def test_segments_are_in_order_and_voices_in_order_of_appearance(recognizer, tmp_path):
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    sounds = [np.concatenate([silence, syllables(3, 1)]), syllables(3, 2), np.zeros(9, np.float32)]
    analysis = recognizer.analyze_file(written(tmp_path / "late.wav", sounds), options=APART)
    starts = [segment.start for segment in analysis.segments]
    assert starts == sorted(starts)
    assert [(voice.name, voice.channel) for voice in analysis.voices] == [("A", 2), ("B", 1)]
    assert {(one.voice, one.channel) for one in analysis.segments} == {("A", 2), ("B", 1)}
    for voice in analysis.voices:
        own = [one for one in analysis.segments if one.voice == voice.name]
        assert voice.time == pytest.approx(sum(one.end - one.start for one in own))
        assert sum(voice.shares.values()) == pytest.approx(1)
        assert len(voice.trail) == len(own)


def test_eight_channels_are_eight_voices(recognizer, tmp_path):
    sounds = [np.concatenate([np.zeros(800 * n, np.float32), syllables(2, n)]) for n in range(8)]
    analysis = recognizer.analyze_file(written(tmp_path / "eight.wav", sounds), options=APART)
    assert [voice.name for voice in analysis.voices] == list("ABCDEFGH")


def test_one_voice_is_what_it_was(recognizer, tmp_path):
    path = written(tmp_path / "call.wav", [syllables(4, 1, 110), syllables(4, 2, 210, 0.4)])
    analysis = recognizer.analyze_file(path, options=VoiceOptions(AUTO, 1))
    assert analysis == recognizer.analyze_file(path)
    assert {(one.voice, one.channel, one.overlap) for one in analysis.segments} == {(None, None, False)}
    assert analysis.voices == ()


def test_silence_on_every_channel_has_no_voices(recognizer, tmp_path):
    silence = np.zeros(SAMPLE_RATE, np.float32)
    analysis = recognizer.analyze_file(written(tmp_path / "s.wav", [silence, silence]), options=APART)
    assert (analysis.summary.label, analysis.voices) == ("no_speech", ())
    assert any(warning.startswith("Silent") for warning in analysis.quality.warnings)


@needs_faults
def test_the_calm_channel_of_a_call_is_heard():
    recognizer = Recognizer.load(device="cpu")
    call = FAULTS / "call_overlap.flac"
    both = recognizer.analyze_file(call, options=VoiceOptions(AUTO))
    mixed = recognizer.analyze_file(call, options=ONE_VOICE)
    labels = {voice.channel: voice.summary.label for voice in both.voices}
    assert labels[2] == "angry"
    assert labels[1] in ("neutral", "calm")
    assert {one.label for one in mixed.segments} == {"angry"}


@needs_faults
def test_turns_of_a_call_have_their_channel():
    recognizer = Recognizer.load(device="cpu")
    analysis = recognizer.analyze_file(FAULTS / "call_turns.flac", options=VoiceOptions(AUTO))
    assert [one.channel for one in analysis.segments] == [1, 2, 1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(("channels", "voices"), [("both", None), (MIX, 0), (EACH, -1)])
def test_options_that_are_none(channels, voices):
    with pytest.raises(ValueError, match=r"channels are|number of voices"):
        VoiceOptions(channels, voices)


def live_analysis(recognizer: Recognizer, samples: np.ndarray) -> tuple[list, Analysis]:
    """The final segments in their order, and the analysis, of a live session that tells voices apart."""
    events: queue.Queue = queue.Queue()
    engine = LiveEngine(recognizer)
    session = LiveSession(engine, SAMPLE_RATE, events.put, "a.wav", default_diarizer())
    for start in range(0, len(samples), 1600):
        session.wait_for_room()
        session.push(samples[start : start + 1600])
    session.finish()
    finals = []
    while not isinstance(event := events.get(timeout=60), Ended):
        assert not isinstance(event, Failed)
        if isinstance(event, LiveSegment) and event.final:
            finals.append(event)
    engine.close()
    return finals, event.analysis


@pytest.fixture(scope="module")
def conversation() -> np.ndarray:
    """The example: two persons who alternate."""
    samples, _ = soundfile.read(ASSETS / "examples" / "conversation.ogg", dtype="float32")
    return samples


def test_a_conversation_has_two_voices_that_alternate(recognizer, conversation):
    analysis = recognizer.analyze(Waveform(conversation), options=VoiceOptions())
    assert [one.voice for one in analysis.segments] == ["A", "B"] * 4
    assert {one.channel for one in analysis.segments} == {None}


def test_live_and_file_agree_on_a_conversation(recognizer, conversation):
    finals, live = live_analysis(recognizer, conversation)
    file = recognizer.analyze(Waveform(conversation), "a.wav", options=VoiceOptions())
    assert [one.number for one in finals] == list(range(len(finals)))
    assert [(one.start, one.end, one.voice) for one in live.segments] == [
        (one.start, one.end, one.voice) for one in file.segments
    ]
    np.testing.assert_allclose(judged(live), judged(file), atol=1e-4)
    assert [voice.name for voice in live.voices] == ["A", "B"]


def test_an_offset_of_the_microphone_changes_nothing(recognizer, conversation):
    """Live and file without it, in each turn as in each span."""
    moved = (conversation + 0.05).astype(np.float32)
    _, live = live_analysis(recognizer, moved)
    file = recognizer.analyze(Waveform(moved), options=VoiceOptions())
    plain = recognizer.analyze(Waveform(conversation), options=VoiceOptions())
    np.testing.assert_allclose(judged(live), judged(file), atol=1e-4)
    np.testing.assert_allclose(judged(file), judged(plain), atol=0.02)


def test_what_the_voices_networks_computed_is_not_computed_again(conversation, monkeypatch):
    recognizer = Recognizer.load(device="cpu")
    runtime = recognizer.runtime
    clips = list(cut([conversation], segment(Waveform(conversation))))
    turns = default_diarizer().turns(conversation, [clip.span for clip in clips])
    assert [turn.span for turn in turns] == [clip.span for clip in clips]
    samples, middle = [clip.samples for clip in clips], [turn.middle for turn in turns]
    assert all(middle)
    expected = runtime.embeddings(samples)
    monkeypatch.setattr(runtime.embed, "_lower", None)  # what would compute it
    np.testing.assert_allclose(runtime.embeddings(samples, middle), expected, rtol=1e-3, atol=1e-3)


def test_states_of_other_weights_are_computed_again(conversation):
    recognizer = Recognizer.load(device="cpu")
    clip = conversation[:32_000]
    expected = recognizer.runtime.embeddings([clip])
    other = MiddleStates(np.zeros(2048, np.float32), "other")
    np.testing.assert_array_equal(recognizer.runtime.embeddings([clip], [other]), expected)


@pytest.mark.parametrize("fault", ["settle", "turns"])
def test_a_session_whose_voices_cannot_be_told_apart_fails(recognizer, conversation, monkeypatch, fault):
    def broken(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(LiveVoices, fault, broken)
    events: queue.Queue = queue.Queue()
    engine = LiveEngine(recognizer)
    session = LiveSession(engine, SAMPLE_RATE, events.put, "a.wav", default_diarizer())
    session.push(conversation[: 4 * SAMPLE_RATE])
    session.finish()
    while not isinstance(event := events.get(timeout=60), Ended | Failed):
        pass
    assert isinstance(event, Failed)
    assert event.error.code == "internal"
    engine.close()


def test_a_file_is_read_again_for_what_each_voice_says(recognizer, conversation, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, conversation, SAMPLE_RATE, subtype="FLOAT")
    at_once = recognizer.analyze(Waveform(conversation), "a.wav", options=VoiceOptions())
    with Decoder() as decoder:
        isolated = Recognizer(recognizer.runtime, decoder.stream)
        assert isolated.analyze_file(path, "a.wav", options=VoiceOptions()) == at_once


def test_the_number_of_voices_can_be_said(recognizer, conversation):
    three = recognizer.analyze(Waveform(conversation), options=VoiceOptions(MIX, 3))
    assert {one.voice for one in three.segments} - {"?"} == {"A", "B", "C"}


def test_settled_voices_are_those_of_most_of_a_segment():
    said = [replace(make_segment(start, start + 1, {"sad": 1.0}, 0.5), voice="A") for start in (0, 2, 4)]
    turns = [
        Turn(Span(0, SAMPLE_RATE), 0, False),
        Turn(Span(2 * SAMPLE_RATE, 2 * SAMPLE_RATE + 4000), 0, False),
        Turn(Span(2 * SAMPLE_RATE + 4000, 3 * SAMPLE_RATE), 1, False),
        Turn(Span(4 * SAMPLE_RATE, 5 * SAMPLE_RATE), None, False),
    ]
    assert [one.voice for one in settled(said, turns)] == ["A", "B", "?"]
    assert settled(said, []) == said

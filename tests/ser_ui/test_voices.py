"""What the page says of voices, and what it takes from a visitor about them."""

from dataclasses import replace

import pytest

from ser_core.analysis import Analysis, Segment, make_segment, summarise, voices_of
from ser_core.emotions import LABELS
from ser_core.recognition.recording import VoiceOptions
from ser_ui import corrections, text, voices
from ser_ui.corrections import CorrectionError
from ser_ui.words import PHRASES

THRESHOLD = 0.5


def said(voice: str, start: float, label: str, seconds: float = 2.0, **changes) -> Segment:
    shares = {name: 0.65 if name == label else 0.05 for name in LABELS}
    if label == "unknown":
        shares = {name: 1 / len(LABELS) for name in LABELS}
    return replace(make_segment(start, start + seconds, shares, THRESHOLD), voice=voice, **changes)


def analysis_of(*segments: Segment) -> Analysis:
    ordered = tuple(sorted(segments, key=lambda segment: segment.start))
    return Analysis(
        "call.wav",
        300.0,
        "default",
        "1",
        segments=ordered,
        summary=summarise(ordered, THRESHOLD),
        voices=voices_of(ordered, THRESHOLD),
    )


def course(voice: str, labels: str, start: float = 0.0) -> list[Segment]:
    """Segments of 2 s, ten seconds apart."""
    return [said(voice, start + 10 * number, label) for number, label in enumerate(labels.split())]


@pytest.mark.parametrize(
    ("labels", "english", "german"),
    [
        ("calm calm calm", "B calm", "B ruhig"),
        ("calm calm sad calm calm", "B mostly calm", "B meist ruhig"),
        ("calm calm happy angry angry angry", "B angry from 0:35 on", "B ab 0:35 wütend"),
        ("calm sad angry happy", "B mixed", "B gemischt"),
        ("unknown unknown unknown", "B unclear", "B unklar"),
        ("unknown calm calm calm", "B mostly calm", "B meist ruhig"),  # nobody knows what it was before
        ("angry calm angry calm angry angry", "B mostly angry", "B meist wütend"),
    ],
)
def test_the_course_of_a_voice(labels, english, german):
    analysis = analysis_of(*course("A", "sad sad sad"), *course("B", labels, start=5.0))
    assert voices.headline(analysis, PHRASES["en"]) == f"A sad, {english}"
    assert text.verdict_headline(analysis, PHRASES["de"]) == f"A traurig, {german}"


def test_forty_voices_have_one_sentence():
    analysis = analysis_of(*(said(f"V{number}", 3.0 * number, "sad") for number in range(40)))
    assert voices.headline(analysis, PHRASES["en"]) == "V0 sad, V1 sad, V2 sad, V3 sad, and 36 more"


def test_one_voice_is_spoken_of_as_ever():
    analysis = analysis_of(*course("A", "sad sad"))
    assert text.verdict_headline(analysis, PHRASES["en"]) == "Sad — 65% sure"


def test_names_are_escaped_in_the_answer():
    analysis = analysis_of(said("<b>", 0, "sad"), said("B", 5, "sad"))
    assert "<b> " not in text.verdict(analysis, PHRASES["en"])


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("{}", VoiceOptions()),
        ('{"voices": "3", "channels": "mix"}', VoiceOptions("mix", 3)),
        ('{"voices": "one", "channels": "auto"}', VoiceOptions("auto", 1)),
        ('{"channels": "each", "voices": "auto"}', VoiceOptions("each")),
        (None, VoiceOptions()),
        ("[]", VoiceOptions()),
        ("no JSON", VoiceOptions()),
        ('{"voices": "-1"}', VoiceOptions()),
    ],
)
def test_what_a_page_asks_for(value, options):
    assert voices.options_of(value) == options


def entry(**changes) -> dict:
    fields = {"start": 0.0, "end": 2.0, "label": "sad", "of": [0], "checked": True, "voice": "Caller"}
    return fields | changes


def test_a_corrected_voice_is_in_the_results_and_in_the_corpus():
    analysis = analysis_of(said("A", 0, "sad", channel=2, overlap=True), said("B", 5, "angry"))
    parsed = corrections.parse(analysis, [entry()], THRESHOLD)
    [segment] = corrections.apply(analysis, parsed, THRESHOLD).segments
    assert (segment.voice, segment.channel, segment.overlap) == ("Caller", 2, True)
    [voice] = corrections.apply(analysis, parsed, THRESHOLD).voices
    assert (voice.name, voice.time) == ("Caller", 2.0)
    assert ",Caller,,sad,," in corrections.dumps("call.wav", parsed).replace("./call.wav", "")


@pytest.mark.parametrize("voice", [None, "?"])
def test_an_unknown_speaker_is_left_to_be_filled_in(voice):
    analysis = analysis_of(said("A", 0, "sad"))
    parsed = corrections.parse(analysis, [entry(voice=voice)], THRESHOLD)
    assert ",,,sad,," in corrections.dumps("call.wav", parsed)


@pytest.mark.parametrize("voice", ["", "x" * 41, "two\nlines", " padded ", 3, ["A"], "nul\x00"])
def test_names_that_a_page_does_not_send(voice):
    with pytest.raises(CorrectionError):
        corrections.parse(analysis_of(said("A", 0, "sad")), [entry(voice=voice)], THRESHOLD)


def test_a_speaker_is_no_formula():
    parsed = corrections.parse(analysis_of(said("A", 0, "sad")), [entry(voice="=A1")], THRESHOLD)
    assert ",'=A1,," in corrections.dumps("call.wav", parsed)

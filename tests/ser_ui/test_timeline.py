"""Texts of the page and data of the timeline; nothing from outside becomes markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from contrast import READABLE, contrast
from support import random_bundle

from ser_core.analysis import Analysis, Verdict, make_segment, summarise
from ser_core.audio.quality import Quality
from ser_core.audio.waveform import Waveform
from ser_core.export.json import to_dict
from ser_core.pictures import plots, svg
from ser_core.recognition.explain import Saliency
from ser_core.recognition.recognizer import Recognizer
from ser_ui import page, text, theme, timeline
from ser_ui.tabs import recording
from ser_ui.words import PHRASES

ENGLISH = PHRASES["en"]
HOSTILE = '<img src=x onerror="alert(1)">&\'.wav'


class Reader(HTMLParser):
    """Tags, attributes and text of some HTML, as a browser parses it."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data + " "


def analysis(*labels: str, source: str = "a.wav", warnings: tuple[str, ...] = ()) -> Analysis:
    """One segment of a second for each label, two seconds apart."""
    segments = []
    for index, label in enumerate(labels):
        rest = dict.fromkeys({"angry", "sad", "happy"} - {label}, 0.05)
        segments.append(make_segment(2.0 * index, 2.0 * index + 1.0, rest | {label: 0.9}, threshold=0.5))
    quality = Quality(-3.0, 0.0, 24.0, 8000, warnings)
    return Analysis(source, 65.25, "default", "1.0", quality, tuple(segments), summarise(segments, 0.5))


@pytest.mark.parametrize(
    "markup",
    [
        text.verdict(analysis("sad", source=HOSTILE), ENGLISH),
        text.problem("it is broken", HOSTILE, ENGLISH),
        text.listening(HOSTILE, ENGLISH),
        svg.inline_svg(plots.probability_figure(analysis("sad").summary), HOSTILE),
    ],
    ids=["verdict", "problem", "listening", "figure"],
)
def test_a_file_name_is_never_markup(markup):
    parsed = Reader(markup)
    assert "img" not in parsed.tags
    assert HOSTILE in parsed.text or any(HOSTILE in (value or "") for _, value in parsed.attributes)


def test_the_verdict_leads_with_the_emotion_and_how_sure_it_is():
    parsed = Reader(text.verdict(analysis("angry"), ENGLISH))
    assert parsed.text.startswith("Angry — 90% sure")
    assert "a.wav · 1 min 5 s · 1.0 s of speech in 1 segment · model default 1.0" in parsed.text


def test_several_emotions_are_named_with_their_share_of_the_speaking_time():
    parsed = Reader(text.verdict(analysis("sad", "angry", "sad"), ENGLISH))
    assert "By speaking time: 67% sad, 33% angry." in parsed.text
    assert "speaking time" not in Reader(text.verdict(analysis("sad", "sad"), ENGLISH)).text


def test_a_recording_of_several_clear_emotions_names_them_all():
    parsed = Reader(text.verdict(analysis("angry", "sad", "happy"), ENGLISH))
    assert parsed.text.startswith("Several emotions — angry, sad, happy")
    assert Reader(text.verdict(analysis("sad", "angry", "sad"), ENGLISH)).text.startswith("Sad — ")


def test_an_unsure_verdict_says_so_and_names_the_likeliest():
    unsure = Verdict("unknown", 0.4, {"sad": 0.4, "calm": 0.3, "happy": 0.3})
    assert text.headline(unsure, ENGLISH) == "Not sure — most likely sad (40%)"


def test_a_sound_unlike_all_the_model_knows_is_not_guessed_at():
    even = Verdict("unknown", 0.25, dict.fromkeys(("neutral", "sad", "calm", "happy"), 0.25))
    assert text.headline(even, ENGLISH) == "Not sure — it sounds like nothing the model knows"


def test_silence_gets_no_emotion_and_advice():
    parsed = Reader(text.verdict(analysis(), ENGLISH))
    assert parsed.text.startswith("No speech found")
    assert "microphone" in parsed.text


def test_every_quality_warning_is_shown_as_a_sentence():
    parsed = Reader(
        text.verdict(analysis("sad", warnings=("it is quiet: move closer", "it clips.")), ENGLISH)
    )
    assert "It is quiet: move closer." in parsed.text
    assert "It clips." in parsed.text


def test_the_timeline_is_told_where_to_fetch_the_sound_whatever_its_name():
    sound = Waveform(np.zeros(16_000, np.float32))
    fields = json.loads(timeline.content("/tmp/gradio/ab/50% é#1?.wav", sound, analysis(source=HOSTILE)))
    assert fields["audio"] == "gradio_api/file=/tmp/gradio/ab/50%25%20%C3%A9%231%3F.wav"
    assert fields["source"] == HOSTILE


def test_the_timeline_is_told_what_the_file_of_results_says():
    result = analysis("angry", "sad")
    fields = json.loads(timeline.content("/tmp/x.wav", Waveform(np.zeros(16_000, np.float32)), result))
    assert fields.items() >= to_dict(result).items()


def test_the_timeline_is_told_what_segments_are_by_themselves():
    result = analysis("angry", "sad")
    by_itself = {"angry": 0.25, "sad": 0.75}
    segments = (replace(result.segments[0], by_itself=by_itself), result.segments[1])
    sound = Waveform(np.zeros(16_000, np.float32))
    fields = json.loads(timeline.content("/tmp/x.wav", sound, replace(result, segments=segments)))
    assert fields["by_itself"] == [by_itself, None]


def test_an_explanation_names_what_spoke_most_for_a_label_and_what_against():
    values = np.zeros((80, 100), np.float32)
    values[8:16, 50:60], values[64:72, 20:30] = 1.0, -1.0
    hz, times = np.linspace(50, 7900, 80, dtype=np.float32), np.arange(100, dtype=np.float32) / 100
    explanation = timeline.explanation_text(Saliency(values, hz, times, "angry", 0.8), ENGLISH)
    assert explanation.startswith("What spoke for angry (80%): most for it from 0.5 to 0.6 s, 845 to ")
    assert "; most against it from 0.2 to 0.3 s" in explanation
    nothing = Saliency(np.zeros_like(values), hz, times, "angry", 0.8)
    assert timeline.explanation_text(nothing, PHRASES["de"]).startswith(
        "Was für „wütend“ (80 %) gesprochen hat: nichts."
    )


def test_figures_take_their_ink_from_the_style_sheet():
    markup = svg.inline_svg(plots.probability_figure(analysis("sad").summary), "bars")
    assert not any(ink in markup for ink in (plots.TEXT, plots.FAINT, plots.WAVE))
    assert "var(--figure-text)" in markup


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_the_page(dark):
    page_theme = theme.theme()
    figure_text = re.findall(r"--figure-text: (#\w+)", (theme.ASSETS / "style.css").read_text())[dark]
    suffix = "_dark" if dark else ""
    inks = [getattr(page_theme, name + suffix) for name in ("body_text_color", "body_text_color_subdued")]
    papers = [
        getattr(page_theme, name + suffix) for name in ("body_background_fill", "block_background_fill")
    ]
    assert all(contrast(ink, paper) >= READABLE for ink in [figure_text, *inks] for paper in papers)


def test_without_a_model_the_page_says_so_and_takes_nothing():
    blocks = page.build(None, "there is no checkpoint 'default'")
    values = [str(component["props"].get("value")) for component in blocks.get_config_file()["components"]]
    assert any("page.not_ready" in value for value in values)
    for texts in blocks.translations.translations.values():
        assert "There is no checkpoint" in texts["page.not_ready"]
    assert not blocks.fns


def test_what_the_page_does_itself_is_no_public_api(tmp_path):
    blocks = page.build(Recognizer.load(random_bundle(tmp_path / "random")))
    public = {"/analyze", "/analyze_speech_emotion", "/models"}
    assert len(blocks.fns) > len(public)
    assert set(blocks.get_api_info()["named_endpoints"]) == public


def test_a_recording_that_was_deleted_meanwhile_is_asked_for_again(tmp_path):
    recognizer = Recognizer.load(random_bundle(tmp_path / "random"))
    opened = recording.OpenRecording(str(tmp_path / "gone.wav"), analysis("sad"))
    event = SimpleNamespace(number=3, start=0.0, end=1.0, label="sad")
    reply = json.loads(recording._reply(recording._explanation_reply, recognizer, opened, event, ENGLISH))
    assert (reply["number"], reply["kind"]) == (3, "problem")
    assert "drop the file again" in reply["words"]

"""The tab Compare: a line for each model as soon as it has heard the recording."""

import asyncio
import json
from itertools import pairwise

import gradio as gr
import pytest
from gradio.state_holder import SessionState
from support import random_bundle, syllables, write_wav

from ser_core.checkpoint import bundle
from ser_core.errors import AudioError
from ser_core.export.json import to_dict
from ser_core.recognition.recognizer import Recognizer
from ser_ui import page
from ser_ui.shelf import Shelf
from ser_ui.tabs import compare
from ser_ui.tabs.compare import Compared
from ser_ui.words import PHRASES


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Shelf:
    """Two models that are shipped, one of them broken, and the server's own."""
    folder = tmp_path_factory.mktemp("checkpoints")
    random_bundle(folder / "other", "stacked_cnn_lstm", name="other")
    (random_bundle(folder / "broken", name="broken") / bundle.WEIGHTS).write_bytes(b"no weights")
    own = Recognizer.load(random_bundle(tmp_path_factory.mktemp("model") / "own", name="own"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "CHECKPOINTS", folder)
        yield Shelf(own)


@pytest.fixture
def path(tmp_path) -> str:
    return str(write_wav(tmp_path / "a & b.wav", syllables(3)))


def compared_by(shelf: Shelf, compared: Compared) -> list[tuple[list[dict], Compared]]:
    steps = list(compare.results(shelf, compared, lambda *_: None))
    assert all(after.startswith(before) for (before, _), (after, _) in pairwise(steps))
    return [([json.loads(line) for line in lines.splitlines()], then) for lines, then in steps]


def test_every_model_is_told_as_soon_as_it_has_heard_the_recording(shelf, path):
    steps = compared_by(shelf, Compared(0.0, path, "a & b.wav", {}, ("own", "other")))
    assert [len(told) for told, _ in steps] == [1, 2, 3]
    sound, own, other = steps[-1][0]
    assert (sound["source"], sound["models"]) == ("a & b.wav", ["own", "other"])
    assert [segment["start"] for segment in own["segments"]] == [
        segment["start"] for segment in other["segments"]
    ]
    assert len(other["agreements"]) == len(other["segments"]) == 3


def test_a_model_says_in_a_comparison_what_it_says_alone(shelf, path):
    _, own, other = compared_by(shelf, Compared(0.0, path, "a & b.wav", {}, ("own", "other")))[-1][0]
    for told in (own, other):
        alone = to_dict(shelf.get(told["model"]["name"]).analyze_file(path, "a & b.wav"))
        assert told["segments"] == alone["segments"]
        assert told["summary"] == alone["summary"]


def test_what_a_model_said_is_remembered_when_others_are_chosen(shelf, path):
    _, before = compared_by(shelf, Compared(0.0, path, "a.wav", {}, ("own",)))[-1]
    heard = []
    again = Compared(0.0, path, "a.wav", before.found, ("other", "own"))
    (*_, (_, after)) = compare.results(shelf, again, lambda model, *_: heard.append(model))
    assert set(heard) == {"other"}
    assert after.found["own"] is before.found["own"]
    assert [analysis.model_name for analysis in compare.shown(after)] == ["other", "own"]


def test_a_model_that_cannot_be_loaded_is_a_line_that_says_why(shelf, path):
    told, after = compared_by(shelf, Compared(0.0, path, "a.wav", {}, ("broken", "own", "other")))[-1]
    assert told[1]["number"] == 0
    assert "fetch it again" in told[1]["problem"]
    assert [analysis.model_name for analysis in compare.shown(after)] == ["own", "other"]


def test_a_bad_file_is_the_usual_error(shelf, tmp_path):
    (tmp_path / "bad.wav").write_text("no recording " * 50)
    with pytest.raises(AudioError) as raised:
        compared_by(shelf, Compared(0.0, str(tmp_path / "bad.wav"), "bad.wav", {}, ("own", "other")))
    assert raised.value.code == "unsupported_format"


@pytest.mark.parametrize("name", ["csv", "json"])
def test_a_comparison_is_saved(shelf, path, name):
    _, compared = compared_by(shelf, Compared(0.0, path, "a.wav", {}, ("own", "other")))[-1]
    reply = json.loads(compare.saved(compared, 4, name, PHRASES["en"]))
    assert (reply["kind"], reply["number"], reply["name"]) == ("file", 4, f"a.wav.models.{name}")
    assert "other" in reply["text"]


@pytest.mark.parametrize("compared", [None, Compared(0.0, "/gone.wav", "gone.wav", {}, ("own",))])
def test_without_a_comparison_there_is_nothing_to_save(compared):
    assert json.loads(compare.saved(compared, 1, "csv", PHRASES["en"]))["kind"] == "problem"


def test_models_that_are_chosen_before_there_is_a_recording_leave_the_page_as_it_is(shelf):
    with gr.Blocks() as blocks:
        compare.build(shelf)
    (asked,) = [event for event in blocks.fns.values() if event.js == compare.ASKED]
    inputs = [None, ["own", "other"], None, 1.0]
    visitor = gr.Request(session_hash="page")
    answer = asyncio.run(blocks.process_api(asked, inputs, SessionState(blocks), visitor))
    *shown, _ = answer["data"]  # and the State
    assert all(update and "value" not in str(update) for update in shown)


def test_a_single_model_is_told_how_another_comes(tmp_path, monkeypatch):
    random_bundle(tmp_path / "lonely", name="lonely")
    monkeypatch.setattr(bundle, "CHECKPOINTS", tmp_path)
    blocks = page.build(Recognizer.load("lonely"))
    for told in blocks.translations.translations.values():
        assert "lonely" in told["page.compare"]
        assert "docs/training.md" in told["page.compare"]
    shown = [component["props"] for component in blocks.get_config_file()["components"]]
    assert any(props.get("elem_id") == "agreement" for props in shown)
    assert not any(props.get("elem_id") == "drop-compared" for props in shown)

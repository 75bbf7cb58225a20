"""The tab Compare: one line per model, as soon as the model has analysed the recording."""

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
from ser_ui.model_cache import ModelCache
from ser_ui.tabs import compare
from ser_ui.tabs.compare import Comparison
from ser_ui.words import PHRASES


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> ModelCache:
    """Two shipped models, one of them broken, and the server's own."""
    folder = tmp_path_factory.mktemp("checkpoints")
    random_bundle(folder / "other", "stacked_cnn_lstm", name="other")
    (random_bundle(folder / "broken", name="broken") / bundle.WEIGHTS).write_bytes(b"no weights")
    own = Recognizer.load(random_bundle(tmp_path_factory.mktemp("model") / "own", name="own"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "CHECKPOINTS", folder)
        yield ModelCache(own)


@pytest.fixture
def path(tmp_path) -> str:
    return str(write_wav(tmp_path / "a & b.wav", syllables(3)))


def result_steps(cache: ModelCache, compared: Comparison) -> list[tuple[list[dict], Comparison]]:
    steps = list(compare.results(cache, compared, lambda *_: None))
    assert all(after.startswith(before) for (before, _), (after, _) in pairwise(steps))
    return [([json.loads(line) for line in lines.splitlines()], state) for lines, state in steps]


def test_every_model_is_told_as_soon_as_it_has_heard_the_recording(cache, path):
    steps = result_steps(cache, Comparison(0.0, path, "a & b.wav", {}, ("own", "other")))
    assert [len(lines) for lines, _ in steps] == [1, 2, 3]
    sound, own, other = steps[-1][0]
    assert (sound["source"], sound["models"]) == ("a & b.wav", ["own", "other"])
    assert [segment["start"] for segment in own["segments"]] == [
        segment["start"] for segment in other["segments"]
    ]
    assert len(other["agreements"]) == len(other["segments"]) == 3


def test_a_model_says_in_a_comparison_what_it_says_alone(cache, path):
    _, own, other = result_steps(cache, Comparison(0.0, path, "a & b.wav", {}, ("own", "other")))[-1][0]
    for line in (own, other):
        alone = to_dict(cache.get(line["model"]["name"]).analyze_file(path, "a & b.wav"))
        assert line["segments"] == alone["segments"]
        assert line["summary"] == alone["summary"]


def test_what_a_model_said_is_remembered_when_others_are_chosen(cache, path):
    _, before = result_steps(cache, Comparison(0.0, path, "a.wav", {}, ("own",)))[-1]
    models_run = []
    again = Comparison(0.0, path, "a.wav", before.analyses, ("other", "own"))
    (*_, (_, after)) = compare.results(cache, again, lambda model, *_: models_run.append(model))
    assert set(models_run) == {"other"}
    assert after.analyses["own"] is before.analyses["own"]
    assert [analysis.model_name for analysis in compare.analyses_of(after)] == ["other", "own"]


def test_a_model_that_cannot_be_loaded_is_a_line_that_says_why(cache, path):
    lines, after = result_steps(cache, Comparison(0.0, path, "a.wav", {}, ("broken", "own", "other")))[-1]
    assert lines[1]["number"] == 0
    assert "fetch it again" in lines[1]["problem"]
    assert [analysis.model_name for analysis in compare.analyses_of(after)] == ["own", "other"]


def test_a_bad_file_is_the_usual_error(cache, tmp_path):
    (tmp_path / "bad.wav").write_text("no recording " * 50)
    with pytest.raises(AudioError) as raised:
        result_steps(cache, Comparison(0.0, str(tmp_path / "bad.wav"), "bad.wav", {}, ("own", "other")))
    assert raised.value.code == "unsupported_format"


@pytest.mark.parametrize("name", ["csv", "json"])
def test_a_comparison_is_saved(cache, path, name):
    _, compared = result_steps(cache, Comparison(0.0, path, "a.wav", {}, ("own", "other")))[-1]
    reply = json.loads(compare.file_reply(compared, 4, name, PHRASES["en"]))
    assert (reply["kind"], reply["number"], reply["name"]) == ("file", 4, f"a.wav.models.{name}")
    assert "other" in reply["text"]


@pytest.mark.parametrize("compared", [None, Comparison(0.0, "/gone.wav", "gone.wav", {}, ("own",))])
def test_without_a_comparison_there_is_nothing_to_save(compared):
    assert json.loads(compare.file_reply(compared, 1, "csv", PHRASES["en"]))["kind"] == "problem"


def test_models_that_are_chosen_before_there_is_a_recording_leave_the_page_as_it_is(cache):
    with gr.Blocks() as blocks:
        compare.build(cache)
    (event_fn,) = [event for event in blocks.fns.values() if event.js == compare.WITH_TIME]
    inputs = [None, ["own", "other"], None, 1.0]
    visitor = gr.Request(session_hash="page")
    response = asyncio.run(blocks.process_api(event_fn, inputs, SessionState(blocks), visitor))
    *updates, _ = response["data"]  # and the State
    assert all(update and "value" not in str(update) for update in updates)


def test_a_single_model_is_told_how_another_comes(tmp_path, monkeypatch):
    random_bundle(tmp_path / "lonely", name="lonely")
    monkeypatch.setattr(bundle, "CHECKPOINTS", tmp_path)
    blocks = page.build(Recognizer.load("lonely"))
    for texts in blocks.translations.translations.values():
        assert "lonely" in texts["page.compare"]
        assert "docs/training.md" in texts["page.compare"]
    components = [component["props"] for component in blocks.get_config_file()["components"]]
    assert any(props.get("elem_id") == "agreement" for props in components)
    assert not any(props.get("elem_id") == "drop-compared" for props in components)

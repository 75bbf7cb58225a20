"""Evaluation of a checkpoint on whole corpora: clips by themselves and in sessions, as in `analyze`."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import random_bundle, voices
from typer.testing import CliRunner

from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer
from train import corpora
from train.cli import app
from train.corpora import Clip
from train.data.cache import FeatureCache
from train.data.speech import FULL_SCALE
from train.reports import cross_corpus, evaluate


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A corpus of three voices, each once sad, happy and neutral."""
    return voices(tmp_path_factory.mktemp("data"), 3).parent


@pytest.fixture(scope="module")
def clips(data) -> list[Clip]:
    return corpora.read(data, ["voices"])


@pytest.fixture(scope="module")
def adaptive(tmp_path_factory) -> Path:
    return random_bundle(tmp_path_factory.mktemp("adaptive"), "whisper_base_adaptive", temperature=0.1)


def run(*arguments: object):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_a_model_that_adapts_is_tested_alone_and_together(data, adaptive, clips, tmp_path):
    result = run(adaptive, "--data", data, "--corpus", "voices", "--out", tmp_path, "--no-cache")
    assert result.exit_code == 0, result.output
    metrics = json.loads(result.stdout)
    entry = metrics["corpora"]["voices"]
    assert (metrics["trained_on"], entry["trained_on"]) == ([], False)
    assert sorted(entry["classes"]) == ["happy", "neutral", "sad"]
    alone = evaluate.read(tmp_path / "predictions.csv")
    for key, value in evaluate.measure(alone, temperature=0.1).items():
        assert metrics[key] == entry["by_themselves"][key] == value
    shared_classes = evaluate.measure(evaluate.among(alone, entry["classes"]))
    assert entry["by_themselves"]["uar_among_its_classes"] == shared_classes["uar"]
    assert {"one_voice", "alike"} < entry.keys()
    assert all(0 <= entry[way]["answered"] <= 100 for way in ("by_themselves", "one_voice", "alike"))


def test_together_is_what_the_recognizer_says_of_a_settled_session(adaptive, clips):
    """What `evaluate` measures is what `analyze --alike` gives, for clips that are one segment each."""
    recognizer, session = Recognizer.load(adaptive, "cpu"), Session()
    sounds = [np.float32(samples / FULL_SCALE) for samples in FeatureCache().speech(clips)]
    for _ in range(2):
        rows = recognizer.runtime.in_sessions(
            sounds, [session] * len(sounds), [True] * len(sounds)
        ).in_session
        session.settle()
    metrics, _ = cross_corpus.measure(str(adaptive), clips)
    labels = [recognizer.bundle.labels[row.argmax()] for row in rows]
    accuracy = np.mean([label == clip.emotion for label, clip in zip(labels, clips, strict=True)])
    assert metrics["corpora"]["voices"]["alike"]["accuracy"] == pytest.approx(100 * accuracy, abs=0.01)


def test_a_model_that_does_not_adapt_is_tested_alone(data, tmp_path):
    model = random_bundle(tmp_path / "cnn", "cnn_lstm", training_data=("voices (3 speakers)",))
    result = run(model, "--data", data, "--corpus", "voices", "--no-cache")
    metrics = json.loads(result.stdout)
    assert metrics["trained_on"] == ["voices"]
    assert "Not a test" in result.stderr
    assert metrics["corpora"]["voices"].keys() == {"trained_on", "classes", "unfamiliar", "by_themselves"}


def test_an_unknown_checkpoint_is_one_line(data):
    result = run("nobody", "--data", data, "--corpus", "voices")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")

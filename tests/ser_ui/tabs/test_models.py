"""The tab Models shows whatever a checkpoint's folder contains."""

import re
from dataclasses import replace

import pytest
from support import random_bundle

from ser_core.checkpoint import bundle
from ser_ui.tabs import models
from ser_ui.words import PHRASES

ENGLISH = PHRASES["en"]

METRICS = {
    "protocols": {
        "ravdess_5fold": {
            "accuracy": {"mean": 76.82, "ci95": [72.57, 81.04]},
            "uar": {"mean": 76.33, "ci95": [71.94, 80.79]},
            "ece": {"mean": 0.06},
            "speakers": {"r/02": 50.0, "r/01": 95.0, "r/03": 70.0, "r/04": 60.0},
            "selection": "validation actors",
            "command": "python -m train crossval",
            "folds": [{"split": "a", "accuracy": 80.0}],
        },
        "leave_one_corpus_out": {"mean_uar": 44.0, "emovo": {"uar": 44.39, "uar_ci95": [34.69, 53.4]}},
        "random_files": {"speaker_dependent": True, "accuracy": {"mean": 99.0}},
        "sessions": {"note": "no result", "list": [1, 2]},
        "nothing": None,
    },
    "calibration": {"ece": 0.032, "threshold": 0.5, "answered": 88.75, "accuracy_of_answered": 81.38},
}


@pytest.fixture
def model(tmp_path):
    return replace(bundle.read(random_bundle(tmp_path / "random")), metrics=METRICS)


def text_of(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def test_results_stand_with_their_intervals_whatever_the_protocol(model):
    text = text_of(models.section(model, ENGLISH))
    assert "all test speakers 76.8 (72.6–81.0) 76.3 (71.9–80.8)" in text
    assert "A corpus never trained on Test UAR emovo 44.4 (34.7–53.4)" in text
    assert "Random files (speaker-dependent: tested on voices it was trained on)" in text
    assert "Sessions" not in text


def test_best_and_worst_speakers_are_named_from_their_end(model):
    assert "Best of 4 speakers: r/01 95, r/03 70, r/04 60. Worst: r/02 50, r/04 60" in text_of(
        models.section(model, ENGLISH)
    )


def test_confusions_and_limits_come_from_the_checkpoint(model):
    (model.path / "confusion.csv").write_text("meant \\ heard,sad,calm\nsad,3,1\ncalm,0,0\n")
    (model.path / "README.md").write_text(
        "# x\n\n## What a score means, and more\n\nNot for\nexams.\n\n## Licence\n\nMIT"
    )
    markup = models.section(model, ENGLISH)
    assert '<td style="--share: 75%">3</td>' in markup
    assert "Limits Not for exams." in text_of(markup)
    assert "MIT" not in markup


def test_a_model_without_results_says_so(model):
    text = text_of(models.section(replace(model, metrics={}), ENGLISH))
    assert "Not measured." in text
    assert "Trained on not stated" in text


def test_nothing_of_a_checkpoint_is_markup(model):
    hostile = "<script>alert(1)</script>"
    metrics = {
        "protocols": {hostile: {hostile: {"uar": 1.0}, "speakers": {hostile: 1.0}, "command": hostile}}
    }
    changed = replace(model, name=hostile, licence=hostile, training_data=(hostile,), metrics=metrics)
    assert "<script" not in models.section(changed, ENGLISH)


@pytest.mark.parametrize("shipped", bundle.shipped(), ids=lambda shipped: shipped.name)
def test_every_shipped_model_shows_its_results_licence_and_limits(shipped):
    text = text_of(models.section(shipped, ENGLISH))
    assert "Not measured" not in text
    assert "Limits" in text
    assert shipped.licence in text


@pytest.mark.parametrize("name", ["default", "open"])
def test_corpora_left_out_stand_beside_each_other_with_sessions_of_each_kind(name):
    shipped = bundle.read(name)
    text = text_of(models.section(shipped, ENGLISH))
    kinds = (
        shipped.metrics["left_out"]["corpora"]["emovo"]
        if name == "default"
        else (shipped.metrics["left_out"]["mean"])
    )
    for kind in ("by_themselves", "every_emotion", "mostly_neutral", "one_emotion"):
        assert f"{kinds[kind]['uar']:.1f}" in text
    assert "by themselves every emotion mostly neutral one emotion" in text


def test_the_default_model_shows_its_headline_speakers_and_confusions():
    default = bundle.read(bundle.DEFAULT)
    text = text_of(models.section(default, ENGLISH))
    headline = default.metrics["protocols"]["ravdess_5fold"]
    assert f"{headline['accuracy']['mean']:.1f}" in text
    assert all(part in text for part in ("Worst:", "What was meant"))

"""The tab Models shows what a checkpoint's folder holds, whatever that is."""

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


def words(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def test_results_stand_with_their_intervals_whatever_the_protocol(model):
    shown = words(models.section(model, ENGLISH))
    assert "all test speakers 76.8 (72.6–81.0) 76.3 (71.9–80.8)" in shown
    assert "A corpus never trained on Test UAR emovo 44.4 (34.7–53.4)" in shown
    assert "Random files (speaker-dependent: tested on voices it was trained on)" in shown
    assert "Sessions" not in shown


def test_best_and_worst_speakers_are_named_from_their_end(model):
    assert "Best of 4 speakers: r/01 95, r/03 70, r/04 60. Worst: r/02 50, r/04 60" in words(
        models.section(model, ENGLISH)
    )


def test_confusions_and_limits_come_from_the_checkpoint(model):
    (model.path / "confusion.csv").write_text("meant \\ heard,sad,calm\nsad,3,1\ncalm,0,0\n")
    (model.path / "README.md").write_text(
        "# x\n\n## What a score means, and more\n\nNot for\nexams.\n\n## Licence\n\nMIT"
    )
    markup = models.section(model, ENGLISH)
    assert '<td style="--share: 75%">3</td>' in markup
    assert "Limits Not for exams." in words(markup)
    assert "MIT" not in markup


def test_a_model_without_results_says_so(model):
    shown = words(models.section(replace(model, metrics={}), ENGLISH))
    assert "Not measured." in shown
    assert "Trained on not stated" in shown


def test_nothing_of_a_checkpoint_is_markup(model):
    hostile = "<script>alert(1)</script>"
    metrics = {
        "protocols": {hostile: {hostile: {"uar": 1.0}, "speakers": {hostile: 1.0}, "command": hostile}}
    }
    changed = replace(model, name=hostile, licence=hostile, training_data=(hostile,), metrics=metrics)
    assert "<script" not in models.section(changed, ENGLISH)


@pytest.mark.parametrize("shipped", bundle.shipped(), ids=lambda found: found.name)
def test_every_shipped_model_shows_its_results_licence_and_limits(shipped):
    shown = words(models.section(shipped, ENGLISH))
    assert "Not measured" not in shown
    assert "Limits" in shown
    assert shipped.licence in shown


def test_the_default_model_shows_its_headline_speakers_and_confusions():
    default = bundle.read(bundle.DEFAULT)
    shown = words(models.section(default, ENGLISH))
    headline = default.metrics["protocols"]["ravdess_5fold"]
    assert f"{headline['accuracy']['mean']:.1f}" in shown
    assert all(part in shown for part in ("Worst:", "What was meant"))

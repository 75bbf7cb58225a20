"""Reports of a run: tables, curves, and a card that states its protocol."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models.feature_spec import FeatureSpec
from train.corpora import Clip
from train.corpora.splits import Split
from train.recipe import Recipe
from train.reports import curves, report
from train.reports.curves import Epoch
from train.reports.evaluate import Predictions, confusion, measure
from train.reports.report import ClassScores, SpeakerScores, per_class, per_speaker
from train.reports.run_card import run_card

HAPPY, SAD = LABELS.index("happy"), LABELS.index("sad")
RECIPE = Recipe("tiny_run", "parallel_cnn_transformer", corpora=("ravdess",), epochs=3)
SAVED = Bundle("tiny_run", "1", "parallel_cnn_transformer", LABELS, FeatureSpec(), parameters=395_176)


@pytest.fixture
def predictions() -> Predictions:
    """Voice a is always right; voice b takes happy for sad, once of two times."""
    targets, predicted = [HAPPY, SAD, HAPPY, HAPPY], [HAPPY, SAD, SAD, HAPPY]
    logits = np.zeros((4, len(LABELS)))
    logits[np.arange(4), predicted] = 3.0
    speakers = ("ravdess/01", "ravdess/01", "ravdess/02", "ravdess/02")
    return Predictions(tuple("1234"), ("ravdess",) * 4, speakers, np.array(targets), logits)


@pytest.fixture
def split() -> Split:
    def part(*speakers: str) -> tuple[Clip, ...]:
        clips = (Clip("ravdess", Path(f"{s}.wav"), f"ravdess/{s}", "female", "sad", "en") for s in speakers)
        return tuple(clips)

    return Split("ravdess_fold0", part("03", "04", "05"), part("06"), part("01", "02"))


def card(recipe: Recipe, split: Split, predictions: Predictions, folder: Path) -> str:
    report.files(predictions, split.test, folder, split.name)
    metrics = {"epoch": 1, "temperature": 0.5} | measure(predictions, 0.5)
    return run_card(recipe, split, SAVED, metrics, folder)


def test_a_row_for_each_class_that_is_meant_or_heard(predictions):
    assert per_class(predictions) == [
        ClassScores("happy", precision=100.0, recall=66.67, f1=80.0, support=3),
        ClassScores("sad", precision=50.0, recall=100.0, f1=66.67, support=1),
    ]
    logits = predictions.logits.copy()
    logits[0, LABELS.index("calm")] = 9.0
    scores = per_class(replace(predictions, logits=logits))
    assert ClassScores("calm", 0.0, 0.0, 0.0, 0) in scores


def test_a_row_for_each_speaker_the_best_first(predictions):
    rows = per_speaker(predictions, {"ravdess/02": "female"})
    assert rows == [
        SpeakerScores("ravdess/01", "", clips=2, accuracy=100.0, uar=100.0),
        SpeakerScores("ravdess/02", "female", clips=2, accuracy=50.0, uar=50.0),
    ]


def test_the_tables_of_a_run_agree_with_its_confusion_matrix(predictions, split, tmp_path):
    report.files(predictions, split.test, tmp_path, "made")
    with (tmp_path / "per_class.csv").open() as file:
        classes = list(csv.DictReader(file))
    counts = confusion(predictions)
    for row in classes:
        label = LABELS.index(row["emotion"])
        assert int(row["support"]) == counts[label].sum()
        assert float(row["recall"]) == pytest.approx(
            100 * counts[label, label] / counts[label].sum(), abs=0.01
        )
    with (tmp_path / "per_speaker.csv").open() as file:
        speakers = list(csv.DictReader(file))
    assert [row["gender"] for row in speakers] == ["female", "female"]
    assert sum(int(row["clips"]) for row in speakers) == counts.sum()
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_curves_survive_their_file_also_without_validation(tmp_path):
    epochs = [Epoch(0, 1e-3, 1.5, 1.25, 50.0), Epoch(1, 5e-4, 0.75, None, None)]
    curves.write(tmp_path / "curves.csv", epochs)
    assert curves.read(tmp_path / "curves.csv") == epochs
    assert [path.name for path in tmp_path.iterdir()] == ["curves.csv"]


def test_the_kept_epoch_is_marked_in_every_panel():
    epochs = [Epoch(i, 1e-3, 1.0 / (i + 1), 1.0, 50.0) for i in range(3)]
    panels = curves.figure(epochs, selected=1, title="made").axes
    assert panels[0].get_title() == "loss"
    for panel in panels:
        assert [1, 1] in [list(line.get_xdata()) for line in panel.lines]
    assert list(panels[0].lines[0].get_ydata()) == [row.train_loss for row in epochs]


def test_the_card_states_protocol_numbers_and_the_worst_speaker(predictions, split, tmp_path):
    text = card(RECIPE, split, predictions, tmp_path)
    low, high = measure(predictions)["accuracy_ci95"]
    assert "Speaker-independent: no speaker is in two parts" in text
    assert "| test | 2 | 2 | RAVDESS" in text
    assert f"| accuracy | 75.0 | {low:.1f}–{high:.1f} |" in text
    assert "Best: ravdess/01 (female, 100.0 %); worst: ravdess/02 (female, 50.0 %)" in text
    assert "| happy | 100.0 | 66.67 | 80.0 | 3 |" in text
    assert "Trained from random weights." in text
    assert "| epochs | 3 |" in text
    assert "Only 2 speakers tested" in text
    assert "non-commercial" in text


def test_the_card_says_when_tested_voices_were_trained_on(predictions, split, tmp_path):
    dependent = replace(split, name="random_by_file", speaker_dependent=True)
    text = card(RECIPE, dependent, predictions, tmp_path)
    assert "**Speaker-dependent**" in text
    assert "Speaker-independent" not in text


def test_the_card_of_a_run_on_everyone_claims_nothing(split, tmp_path):
    everyone = Split("everyone", split.train, (), ())
    text = run_card(RECIPE, everyone, SAVED, {"epoch": 2}, tmp_path)
    assert "nobody is left to test" in text
    assert "## Measured" not in text
    assert "95 %" not in text

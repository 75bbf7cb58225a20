"""Metrics of small tables, intervals over speakers, and the CSV format of predictions."""

import numpy as np
import pytest

from ser_core.emotions import LABELS
from train.reports import evaluate
from train.reports.evaluate import (
    Predictions,
    accuracy,
    among,
    confident,
    confusion,
    interval,
    macro_f1,
    measure,
)
from train.reports.evaluate import unweighted_average_recall as uar


def predictions(targets, predicted, speakers=None, certainty: float = 4.0) -> Predictions:
    """A table whose most probable classes are `predicted`."""
    logits = np.zeros((len(targets), len(LABELS)))
    logits[np.arange(len(targets)), predicted] = certainty
    return Predictions(
        files=tuple(f"{i}.wav" for i in range(len(targets))),
        corpora=("made",) * len(targets),
        speakers=tuple(speakers or ["a"] * len(targets)),
        targets=np.array(targets),
        logits=logits,
    )


def test_uar_counts_every_class_the_same():
    targets, predicted = np.array([0] * 9 + [1]), np.array([0] * 10)
    assert accuracy(predicted, targets) == 0.9
    assert uar(predicted, targets) == 0.5
    assert macro_f1(predicted, targets) == pytest.approx((18 / 19) / 2)


def test_confusion_rows_are_what_was_meant():
    table = confusion(predictions([2, 2, 3], [2, 4, 3]))
    assert table[2, 4] == 1
    assert table[2].sum() == 2
    assert table.sum() == 3


def test_the_interval_is_over_speakers_not_clips():
    right_and_wrong = predictions([0] * 100, [0] * 50 + [1] * 50, ["a"] * 50 + ["b"] * 50)
    assert interval(right_and_wrong, accuracy) == (0.0, 1.0)  # two voices: all or nothing
    mixed = predictions([0] * 100, [0, 1] * 50, [f"{i // 4}" for i in range(100)])
    assert interval(mixed, accuracy) == (0.5, 0.5)  # every voice half right


def test_among_judges_only_shared_classes():
    only = among(predictions([0, 2, 5], [1, 2, 5]), ["neutral", "happy"])
    assert only.targets.tolist() == [0, 2]
    assert set(only.predicted.tolist()) <= {0, 2}


def test_confident_keeps_what_reaches_the_threshold():
    table = predictions([0, 1], [0, 1])
    table.logits[1] = 0.01
    assert confident(table, 1.0, 0.5).files == ("0.wav",)
    assert confident(table, 1.0, 0.0, below=0.5).files == ("1.wav",)


def test_accuracy_times_clips_is_a_whole_number():
    measured = measure(predictions([0, 1, 2], [0, 1, 1], ["a", "b", "c"]))
    assert measured["accuracy"] * measured["clips"] / 100 == pytest.approx(2, abs=0.01)
    assert (measured["clips"], measured["speakers"]) == (3, 3)


def test_predictions_survive_their_file(tmp_path):
    table = predictions([0, 7], [3, 7], ["ä", "b"])
    evaluate.write(table, tmp_path / "p.csv")
    again = evaluate.read(tmp_path / "p.csv")
    assert (again.files, again.speakers) == (table.files, table.speakers)
    np.testing.assert_allclose(again.logits, table.logits, atol=1e-5)
    np.testing.assert_array_equal(again.targets, table.targets)

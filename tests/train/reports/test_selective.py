"""Selective prediction: accuracy rises with the confidence threshold."""

import numpy as np
import pytest

from ser_core.emotions import LABELS
from train.reports import selective
from train.reports.evaluate import Predictions


@pytest.fixture
def predictions() -> Predictions:
    """Ten clips, surer and surer; only the four least sure ones are wrong."""
    logits = np.zeros((10, len(LABELS)))
    logits[:, 0] = np.arange(10) / 2
    targets = np.array([1] * 4 + [0] * 6)
    names = tuple(str(i) for i in range(10))
    return Predictions(names, ("c",) * 10, names, targets, logits)


def test_the_surest_are_asked_first(predictions):
    curve = selective.risk_coverage(predictions, 1.0)
    assert curve[:6].tolist() == [1.0] * 6
    assert curve[-1] == pytest.approx(0.6)


def test_the_quoted_share_is_of_the_surest(predictions):
    assert selective.accuracy_at(predictions, 1.0) == pytest.approx(75.0)
    assert selective.accuracy_at(predictions, 1.0, coverage=0.5) == 100.0


def test_the_picture_is_drawn(predictions, tmp_path):
    selective.draw({"alone": predictions}, 1.0, 0.5, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")

"""Selective prediction: accuracy against the share of clips that get an answer."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ser_core.checkpoint.calibration import probabilities
from train.reports.evaluate import Predictions, percent

PICTURE = "risk_coverage.png"
COVERAGE = 0.8  # the share of the most confident clips that is quoted


def risk_coverage(predictions: Predictions, temperature: float) -> NDArray[np.float64]:
    """Accuracy of the n most confident clips, for each n, `(clip,)`, 0 to 1 (El-Yaniv & Wiener 2010)."""
    confidence = probabilities(torch.from_numpy(predictions.logits), temperature).max(-1).values.numpy()
    order = np.argsort(-confidence, kind="stable")
    correct = (predictions.predicted == predictions.targets)[order]
    curve: NDArray[np.float64] = np.cumsum(correct) / np.arange(1, len(correct) + 1)
    return curve


def accuracy_at(predictions: Predictions, temperature: float, coverage: float = COVERAGE) -> float:
    """Accuracy in percent on the share `coverage` (0 to 1) of clips with the highest confidence."""
    curve = risk_coverage(predictions, temperature)
    return percent(float(curve[max(0, round(coverage * len(curve)) - 1)]))


def draw(curves: dict[str, Predictions], temperature: float, threshold: float, path: Path) -> None:
    """Draws error against the share of answered clips for each of `curves` to `path`; dots at `threshold`."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, predictions in curves.items():
        curve = risk_coverage(predictions, temperature)
        coverage = np.arange(1, len(curve) + 1) / len(curve)
        (line,) = axes.plot(100 * coverage, 100 * (1 - curve), label=name)
        probs = probabilities(torch.from_numpy(predictions.logits), temperature).max(-1).values.numpy()
        answered = int((probs >= threshold).sum())
        if answered:
            axes.plot(
                100 * coverage[answered - 1], 100 * (1 - curve[answered - 1]), "o", color=line.get_color()
            )
    axes.set_xlabel("percent of clips that get an emotion, the surest first")
    axes.set_ylabel("percent of those named wrong")
    axes.set_title(f"What abstaining buys (dots: the threshold {threshold:g})", fontsize="medium")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)

"""Results as figures and tables: confusion matrix, scores by class, by speaker and by gender."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from ser_core.emotions import LABELS
from train.corpora import Clip
from train.reports.evaluate import Predictions, accuracy, confusion, percent
from train.reports.evaluate import unweighted_average_recall as uar

PER_CLASS = "per_class.csv"
PER_SPEAKER = "per_speaker.csv"


@dataclass(frozen=True)
class ClassScores:
    """Scores of one emotion; precision, recall and F1 in percent."""

    emotion: str
    precision: float
    recall: float
    f1: float
    support: int  # clips of this emotion


@dataclass(frozen=True)
class SpeakerScores:
    """Scores of one speaker; accuracy and UAR (over the speaker's classes) in percent."""

    speaker: str
    gender: str  # empty where it is not known
    clips: int
    accuracy: float
    uar: float


def files(predictions: Predictions, clips: Sequence[Clip], folder: Path, title: str) -> None:
    """Writes confusion matrix and both tables to `folder`; `clips` provide the speakers' gender."""
    confusion_files(predictions, folder, title)
    genders = {clip.speaker: clip.gender for clip in clips}
    _write(folder / PER_CLASS, ClassScores, per_class(predictions))
    _write(folder / PER_SPEAKER, SpeakerScores, per_speaker(predictions, genders))


def per_class(predictions: Predictions) -> list[ClassScores]:
    """A row for each emotion that occurs as target or prediction, in the order of LABELS."""
    predicted, targets = predictions.predicted, predictions.targets
    occurring = np.union1d(predicted, targets)
    scores = precision_recall_fscore_support(targets, predicted, labels=occurring, zero_division=0)
    return [
        ClassScores(LABELS[label], percent(precision), percent(recall), percent(f1), int(support))
        for label, precision, recall, f1, support in zip(occurring, *scores, strict=True)
    ]


def per_speaker(predictions: Predictions, genders: Mapping[str, str]) -> list[SpeakerScores]:
    """A row for each speaker, sorted by accuracy, the highest first."""
    speakers = np.array(predictions.speakers)
    rows = []
    for name in sorted(set(predictions.speakers)):
        predicted, targets = predictions.predicted[speakers == name], predictions.targets[speakers == name]
        scores = percent(accuracy(predicted, targets)), percent(uar(predicted, targets))
        rows.append(SpeakerScores(name, genders.get(name, ""), len(targets), *scores))
    return sorted(rows, key=lambda row: -row.accuracy)


def per_gender(predictions: Predictions, clips: Sequence[Clip]) -> dict[str, dict[str, float | int]]:
    """Clips, accuracy and UAR in percent by the speakers' gender, where it is known."""
    genders = {clip.speaker: clip.gender for clip in clips}
    row_genders = np.array([genders.get(speaker, "") for speaker in predictions.speakers])
    results: dict[str, dict[str, float | int]] = {}
    for gender in sorted(set(row_genders) - {""}):
        rows = row_genders == gender
        predicted, targets = predictions.predicted[rows], predictions.targets[rows]
        results[str(gender)] = {
            "clips": len(targets),
            "accuracy": percent(accuracy(predicted, targets)),
            "uar": percent(uar(predicted, targets)),
        }
    return results


def _write(
    path: Path,
    kind: type[ClassScores] | type[SpeakerScores],
    rows: Sequence[ClassScores] | Sequence[SpeakerScores],
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(kind)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def confusion_files(predictions: Predictions, folder: Path, title: str) -> None:
    """Writes `confusion.csv` (counts) and `confusion.png` (row percentages) to `folder`."""
    table = confusion(predictions)
    with (folder / "confusion.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["meant \\ heard", *LABELS])
        writer.writerows([label, *row] for label, row in zip(LABELS, table.tolist(), strict=True))
    confusion_figure(table, title).savefig(folder / "confusion.png", dpi=120)


def confusion_figure(table: NDArray[np.int64], title: str) -> Figure:
    """The confusion matrix as a figure: rows are targets, columns predictions, cells percent of the row.

    Classes that occur neither as target nor as prediction are left out.
    """
    occurring = np.flatnonzero(table.sum(0) + table.sum(1))
    counts = table[np.ix_(occurring, occurring)]
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [LABELS[i] for i in occurring]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("heard by the model")
    axes.set_ylabel("meant by the speaker")
    axes.set_title(f"{title}: percent of each row")
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            color = "white" if value > 55 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=color)
    return figure

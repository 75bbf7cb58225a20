"""What was measured, in pictures and tables: confusion, classes, speakers."""

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
    """How one emotion fares; precision, recall and F1 in percent."""

    emotion: str
    precision: float
    recall: float
    f1: float
    support: int  # clips that mean it


@dataclass(frozen=True)
class SpeakerScores:
    """How one voice fares; accuracy and UAR (over the classes it speaks) in percent."""

    speaker: str
    gender: str  # empty where it is not known
    clips: int
    accuracy: float
    uar: float


def files(predictions: Predictions, clips: Sequence[Clip], folder: Path, title: str) -> None:
    """Confusion matrix and both tables in `folder`; `clips` say who is a woman and who a man."""
    confusion_files(predictions, folder, title)
    genders = {clip.speaker: clip.gender for clip in clips}
    _write(folder / PER_CLASS, ClassScores, per_class(predictions))
    _write(folder / PER_SPEAKER, SpeakerScores, per_speaker(predictions, genders))


def per_class(predictions: Predictions) -> list[ClassScores]:
    """A row for each emotion that is meant or heard, in the order of LABELS."""
    predicted, targets = predictions.predicted, predictions.targets
    shown = np.union1d(predicted, targets)
    scores = precision_recall_fscore_support(targets, predicted, labels=shown, zero_division=0)
    return [
        ClassScores(LABELS[label], percent(precision), percent(recall), percent(f1), int(support))
        for label, precision, recall, f1, support in zip(shown, *scores, strict=True)
    ]


def per_speaker(predictions: Predictions, genders: Mapping[str, str]) -> list[SpeakerScores]:
    """A row for each speaker, the best (by accuracy) first."""
    speakers = np.array(predictions.speakers)
    rows = []
    for name in sorted(set(predictions.speakers)):
        predicted, targets = predictions.predicted[speakers == name], predictions.targets[speakers == name]
        right = percent(accuracy(predicted, targets))
        rows.append(
            SpeakerScores(name, genders.get(name, ""), len(targets), right, percent(uar(predicted, targets)))
        )
    return sorted(rows, key=lambda row: -row.accuracy)


def per_gender(predictions: Predictions, clips: Sequence[Clip]) -> dict[str, dict[str, float | int]]:
    """Clips, accuracy and UAR in percent by the speakers' gender, where it is known."""
    genders = {clip.speaker: clip.gender for clip in clips}
    own = np.array([genders.get(speaker, "") for speaker in predictions.speakers])
    found: dict[str, dict[str, float | int]] = {}
    for gender in sorted(set(own) - {""}):
        predicted, targets = predictions.predicted[own == gender], predictions.targets[own == gender]
        found[str(gender)] = {
            "clips": len(targets),
            "accuracy": percent(accuracy(predicted, targets)),
            "uar": percent(uar(predicted, targets)),
        }
    return found


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
    """`confusion.csv` (counts) and `confusion.png` (row percentages) in `folder`."""
    table = confusion(predictions)
    with (folder / "confusion.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["meant \\ heard", *LABELS])
        writer.writerows([label, *row] for label, row in zip(LABELS, table.tolist(), strict=True))
    confusion_figure(table, title).savefig(folder / "confusion.png", dpi=120)


def confusion_figure(table: NDArray[np.int64], title: str) -> Figure:
    """Rows are what the actor meant, columns what the model heard, cells percent of the row.

    Classes that never occur and are never heard are left out.
    """
    shown = np.flatnonzero(table.sum(0) + table.sum(1))
    counts = table[np.ix_(shown, shown)]
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [LABELS[i] for i in shown]
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

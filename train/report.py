"""Pictures and tables of what was measured."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ser_core.emotions import LABELS
from train.corpora import CorpusError
from train.evaluate import Predictions, confusion


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


def table(folders: Sequence[Path]) -> str:
    """A Markdown table of runs and protocols: accuracy and UAR in percent, with intervals.

    Raises CorpusError for a folder without results.
    """
    rows = ["| run | test | accuracy | UAR | macro-F1 | ECE |", "|---|---|---|---|---|---|"]
    for folder in folders:
        protocol, metrics = folder / "protocol.json", folder / "metrics.json"
        path = protocol if protocol.is_file() else metrics
        if not path.is_file():
            raise CorpusError(f"{folder} has no results yet")
        found = json.loads(path.read_text(encoding="utf-8"))
        rows += _rows(folder, found)
    return "\n".join(rows)


def _rows(folder: Path, found: dict[str, Any]) -> list[str]:
    name = "/".join(folder.parts[-2:])
    if "folds" in found:
        accuracy, uar = (
            _with_interval(found[key]["mean"], found[key]["ci95"]) for key in ("accuracy", "uar")
        )
        f1, ece = found["macro_f1"]["mean"], found["ece"]["mean"]
        test = found.get("protocol", "RAVDESS five folds")
        return [f"| {name} | {test} | {accuracy} | {uar} | {f1} | {ece} |"]
    if "mean_uar" in found:
        corpora = {key: value for key, value in found.items() if isinstance(value, dict)}
        return [
            f"| {name} | {corpus}, unseen | {value['accuracy']} | "
            f"{_with_interval(value['uar'], value['uar_ci95'])} | | |"
            for corpus, value in corpora.items()
        ] + [f"| {name} | mean of the corpora | | {found['mean_uar']} | | |"]
    if "accuracy" not in found:
        return [f"| {name} | none: trained on everyone | | | | |"]
    accuracy, uar = (_with_interval(found[key], found[f"{key}_ci95"]) for key in ("accuracy", "uar"))
    return [f"| {name} | {found['split']} | {accuracy} | {uar} | {found['macro_f1']} | {found['ece']} |"]


def _with_interval(value: float, ci95: Sequence[float]) -> str:
    return f"{value:.1f} ({ci95[0]:.1f}–{ci95[1]:.1f})"

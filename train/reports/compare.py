"""Compares runs and protocols as Markdown, CSV and a figure; copies their reports without the weights."""

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from train.errors import RunError
from train.reports import sessions

# Files that `keep` copies from a run: results and settings, neither weights nor logs.
KEPT = (
    *("README.md", "recipe.json", "metrics.json", "protocol.json", "predictions.csv"),
    *("curves.csv", "curves.png", "confusion.csv", "confusion.png", "per_class.csv", "per_speaker.csv"),
    *map(sessions.file_of, sessions.KINDS),
)
INDEPENDENT, DEPENDENT = "#0072B2", "#C3C9D1"  # blue, and a grey that is hatched
BAR_INCHES = 0.42

Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One result; numbers in percent except the ECE, None where there are none."""

    run: str
    test: str
    speaker_dependent: bool
    accuracy: float | None = None
    accuracy_ci95: Interval | None = None
    uar: float | None = None
    uar_ci95: Interval | None = None
    macro_f1: float | None = None
    ece: float | None = None


def rows(folders: Sequence[Path]) -> list[Row]:
    """The results of fit or crossval in `folders`, in their order.

    Raises RunError for a folder without results.
    """
    return [row for folder in folders for row in _rows(folder)]


def markdown(compared: Sequence[Row]) -> str:
    """A table: accuracy and UAR in percent, with intervals."""
    lines = ["| run | test | accuracy | UAR | macro-F1 | ECE |", "|---|---|---|---|---|---|"]
    for row in compared:
        accuracy = with_interval(row.accuracy, row.accuracy_ci95)
        uar = with_interval(row.uar, row.uar_ci95)
        f1, ece = ("" if value is None else str(value) for value in (row.macro_f1, row.ece))
        cells = (row.run, row.test, accuracy, uar, f1, ece)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def files(compared: Sequence[Row], out: Path) -> None:
    """`comparison.md`, `comparison.csv` and `comparison.png` in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.md").write_text(markdown(compared) + "\n", encoding="utf-8")
    with (out / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(_cells(Row("", "", False))))
        writer.writeheader()
        writer.writerows(map(_cells, compared))
    figure(compared).savefig(out / "comparison.png", dpi=120)


def figure(compared: Sequence[Row]) -> Figure:
    """Bars with 95 % intervals over speakers; speaker-dependent ones are grey, hatched and say so."""
    measured = [row for row in compared if row.uar is not None]
    chart = Figure(figsize=(11, 1.6 + BAR_INCHES * max(1, len(measured))), layout="constrained")
    accuracy, uar = chart.subplots(1, 2, sharey=True)
    _bars(accuracy, measured, "accuracy", [(row.accuracy, row.accuracy_ci95) for row in measured])
    _bars(uar, measured, "unweighted average recall (UAR)", [(row.uar, row.uar_ci95) for row in measured])
    labels = [f"{row.run}\n{row.test}" for row in measured]
    accuracy.set_yticks(range(len(measured)), labels, fontsize="small")
    accuracy.set_ylim(len(measured) - 0.5, -0.5)
    kinds = [Patch(facecolor=INDEPENDENT, edgecolor="black", label="voices never heard in training")]
    if any(row.speaker_dependent for row in measured):
        kinds.append(
            Patch(facecolor=DEPENDENT, edgecolor="black", hatch="///", label="speaker-dependent: flatters")
        )
    chart.legend(handles=kinds, loc="outside lower center", ncols=2, fontsize="small")
    return chart


def keep(folder: Path, out: Path) -> Path:
    """Copies the report of a finished run or crossval to `out/RECIPE/RUN`; returns that folder.

    Raises RunError as `rows` does.
    """
    rows([folder])
    source = folder.resolve()
    target = out / source.parent.name / source.name
    for path in sorted(source.rglob("*")):
        if path.name in KEPT and path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return target


def _rows(folder: Path) -> list[Row]:
    if not folder.is_dir():
        raise RunError(f"{folder} is no folder: name one that fit or crossval made")
    path = next((folder / n for n in ("protocol.json", "metrics.json") if (folder / n).is_file()), None)
    if path is None:
        raise RunError(
            f"{folder} has no results yet: neither metrics.json nor protocol.json is in it. "
            "Finish it by the command that began it, or name a run's folder in it"
        )
    name = "/".join(folder.resolve().parts[-2:])
    try:
        return _read(name, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is not what fit or crossval writes ({error!r}): run it again") from None


def _read(name: str, results: dict[str, Any]) -> list[Row]:
    dependent = bool(results.get("speaker_dependent", False))
    if "folds" in results:
        accuracy, uar = results["accuracy"], results["uar"]
        title = results.get("protocol", "RAVDESS five folds")
        numbers = (accuracy["mean"], tuple(accuracy["ci95"]), uar["mean"], tuple(uar["ci95"]))
        return [Row(name, title, dependent, *numbers, results["macro_f1"]["mean"], results["ece"]["mean"])]
    if "mean_uar" in results:
        corpora = {key: value for key, value in results.items() if isinstance(value, dict)}
        corpus_rows = [
            Row(
                name,
                f"{corpus}, unseen",
                False,
                accuracy=value["accuracy"],
                uar=value["uar"],
                uar_ci95=tuple(value["uar_ci95"]),
            )
            for corpus, value in corpora.items()
        ]
        return [*corpus_rows, Row(name, "mean of the corpora", False, uar=results["mean_uar"])]
    if "accuracy" not in results:
        if "epoch" not in results:
            raise ValueError("neither accuracy nor epoch")
        return [Row(name, "none: trained on everyone", False)]
    title = f"{results['split']}, speaker-dependent" if dependent else results["split"]
    accuracy = (results["accuracy"], tuple(results["accuracy_ci95"]))
    uar = (results["uar"], tuple(results["uar_ci95"]))
    return [Row(name, title, dependent, *accuracy, *uar, results["macro_f1"], results["ece"])]


def _cells(row: Row) -> dict[str, Any]:
    """A row of the CSV; the ends of an interval are two columns."""
    cells = asdict(row)
    for key in ("accuracy", "uar"):
        cells[f"{key}_low"], cells[f"{key}_high"] = cells.pop(f"{key}_ci95") or (None, None)
    return cells


def _bars(
    axes: Axes, measured: Sequence[Row], title: str, values: Sequence[tuple[float | None, Interval | None]]
) -> None:
    for position, (row, (value, ci95)) in enumerate(zip(measured, values, strict=True)):
        if value is None:
            continue
        dependent = row.speaker_dependent
        axes.barh(
            position,
            value,
            height=0.66,
            color=DEPENDENT if dependent else INDEPENDENT,
            edgecolor="black",
            linewidth=0.6,
            hatch="///" if dependent else None,
        )
        if ci95:
            axes.plot(ci95, (position, position), "|-", color="black", markersize=9)
        axes.annotate(
            f"{value:.1f}",
            (max((value, *(ci95 or ()))), position),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axes.set_xlim(0, 112)  # room for the number behind a bar of 100
    axes.set_xticks(range(0, 101, 20))
    axes.set_title(f"{title}, percent", fontsize="medium")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def with_interval(value: float | None, ci95: Interval | None) -> str:
    """A number in percent and its interval, as text; empty for none."""
    if value is None:
        return ""
    return f"{value:.1f} ({ci95[0]:.1f}–{ci95[1]:.1f})" if ci95 else f"{value}"

"""Recomputes every published accuracy from the stored predictions: `python -m benchmarks.accuracy`.

`benchmarks/results/RECIPE/PROTOCOL/` holds the output of `python -m train crossval`: the logits of every test
clip. Sessions are those of `python -m benchmarks.left_out`, from the checkpoint's metrics.json. The table is
printed and written between the marks in README.md.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.pages import replace_section
from train.protocols.crossval import FOUR_CLASSES
from train.reports import evaluate, sessions
from train.reports.evaluate import percent

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "whisper_base_campplus_adaptive"
METRICS = ROOT / "checkpoints" / "default" / "metrics.json"
README = ROOT / "README.md"
ROUNDING = 0.3  # points of UAR: recordings in float16 and in batches move a few clips
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def main(
    data: Annotated[Path, typer.Option(help="Where predictions are stored.")] = RESULTS,
    readme: Annotated[Path, typer.Option(help="The page whose table is written.")] = README,
) -> None:
    """Prints the table and writes it into the README. Raises ValueError where metrics.json differs."""
    text = table(recompute(data), json.loads(METRICS.read_text(encoding="utf-8")))
    replace_section(readme, BEGIN, END, text)
    typer.echo(text)


def recompute(data: Path) -> dict[str, Any]:
    """Accuracy and UAR, in percent, of each fold and each corpus left out, from the logits."""
    folds = {}
    for path in sorted((data / "ravdess_5fold").glob("*/predictions.csv")):
        predictions = evaluate.read(path)
        folds[path.parent.name] = {
            "accuracy": percent(evaluate.accuracy(predictions.predicted, predictions.targets)),
            "uar": percent(evaluate.unweighted_average_recall(predictions.predicted, predictions.targets)),
        }
    corpora = {}
    for path in sorted((data / "leave_one_corpus_out").glob("*/predictions.csv")):
        every = evaluate.read(path)
        four = evaluate.among(every, FOUR_CLASSES)
        corpora[path.parent.name.removeprefix("without_")] = {
            "uar_all_answers": percent(evaluate.unweighted_average_recall(every.predicted, every.targets)),
            "uar_four_classes": percent(evaluate.unweighted_average_recall(four.predicted, four.targets)),
        }
    return {"folds": folds, "corpora": corpora, "in_sessions": _in_sessions(data)}


def _in_sessions(data: Path) -> dict[str, Any]:
    """UAR in each kind of session: of all folds together, and of each corpus left out."""
    folds = sessions.pooled(sorted((data / "ravdess_5fold").glob("*_fold?")))
    protocol = json.loads((data / "leave_one_corpus_out" / "protocol.json").read_text(encoding="utf-8"))
    corpora = {
        path.name.removeprefix("without_"): sessions.among(
            path, protocol[path.name.removeprefix("without_")]["classes"]
        )
        for path in sorted((data / "leave_one_corpus_out").glob("without_*"))
    }
    return {"ravdess_5fold": folds["in_sessions"]} | {k: v["in_sessions"] for k, v in corpora.items()}


def check(recomputed: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Raises ValueError where the checkpoint's metrics.json differs from the predictions."""
    protocols = metrics["protocols"]
    folds = {
        fold["split"]: {"accuracy": fold["accuracy"], "uar": fold["uar"]}
        for fold in protocols["ravdess_5fold"]["folds"]
    }
    if folds != recomputed["folds"]:
        raise ValueError(f"metrics.json says {folds}, the predictions give {recomputed['folds']}")
    for corpus, values in recomputed["corpora"].items():
        published = protocols["leave_one_corpus_out"][corpus]
        if any(published[key] != value for key, value in values.items()):
            raise ValueError(f"metrics.json and the predictions of {corpus} disagree")
        lone = metrics["left_out"]["corpora"][corpus]["by_themselves"]["uar"]
        if abs(lone - published["uar"]) > ROUNDING:
            raise ValueError(f"benchmarks.left_out says {lone} of {corpus}, its fold {published['uar']}")
    for name, kinds in recomputed["in_sessions"].items():
        entry = protocols.get(name) or protocols["leave_one_corpus_out"][name]
        if entry["in_sessions"] != kinds:
            raise ValueError(f"metrics.json and the predictions in sessions of {name} disagree")


def table(recomputed: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The results as a Markdown table. Raises ValueError as `check`."""
    check(recomputed, metrics)
    folds, left_out = metrics["protocols"]["ravdess_5fold"], metrics["left_out"]
    rows = [
        "| test: UAR in percent | clips by themselves (95 % interval) | sessions of every emotion "
        "| mostly neutral | one emotion | clips by themselves that get an emotion, of these right |",
        "|---|---|---|---|---|---|",
        _row("RAVDESS, 8 emotions, five folds by actor", left_out["ravdess_5fold"], folds["uar"]["ci95"]),
    ]
    for corpus, kinds in left_out["corpora"].items():
        name = f"{corpus}, a corpus never trained on"
        rows.append(_row(name, kinds, kinds["by_themselves"]["uar_ci95"]))
    rows.append(_row("mean of RAVDESS, EMOVO, nEMO, TESS, each never trained on", left_out["mean"]))
    rows.append(_row("mean of the seven corpora of the recipe", left_out["mean_of_all"]))
    return "\n".join(rows)


def _row(name: str, kinds: dict[str, Any], ci95: list[float] | None = None) -> str:
    lone = kinds["by_themselves"]
    uar = _interval({"mean": lone["uar"], "ci95": ci95}) if ci95 else f"{lone['uar']:.1f}"
    cells = [f"{kinds[kind]['uar']:.1f}" if kind in kinds else "–" for kind in sessions.KINDS]
    answered = f"{lone['answered']:.0f}, {lone['accuracy_of_answered']:.0f}"
    return f"| {' | '.join([name, uar, *cells, answered])} |"


def _interval(value: dict[str, Any]) -> str:
    """A mean with its 95 % interval."""
    low, high = value["ci95"]
    return f"{value['mean']:.1f} ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    typer.run(main)

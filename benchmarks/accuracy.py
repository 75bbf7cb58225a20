"""Recomputes every published accuracy from the stored predictions: `python -m benchmarks.accuracy`.

`benchmarks/results/RECIPE/PROTOCOL/` holds the output of `python -m train crossval`: the logits of every test
clip. The table is printed and written between the marks in README.md.
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
RESULTS = ROOT / "benchmarks" / "results" / "whisper_base_adaptive"
METRICS = ROOT / "checkpoints" / "default" / "metrics.json"
README = ROOT / "README.md"
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
    for name, kinds in recomputed["in_sessions"].items():
        entry = protocols.get(name) or protocols["leave_one_corpus_out"][name]
        if entry["in_sessions"] != kinds:
            raise ValueError(f"metrics.json and the predictions in sessions of {name} disagree")


def table(recomputed: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The results as a Markdown table. Raises ValueError as `check`."""
    check(recomputed, metrics)
    folds, left_out = (metrics["protocols"][name] for name in ("ravdess_5fold", "leave_one_corpus_out"))
    rows = [
        "| test (percent, 95 % interval over speakers) | accuracy | unweighted average recall (UAR) "
        "| UAR with all eight answers open | UAR within a session |",
        "|---|---|---|---|---|",
        f"| RAVDESS, 8 emotions, five folds by actor | {_interval(folds['accuracy'])} "
        f"| {_interval(folds['uar'])} | {folds['uar']['mean']:.1f} | {_session(folds)} |",
    ]
    for corpus in recomputed["corpora"]:
        values = left_out[corpus]
        uar = _interval({"mean": values["uar"], "ci95": values["uar_ci95"]})
        rows.append(
            f"| {corpus}, a corpus never trained on, {len(values['classes'])} emotions | "
            f"{values['accuracy']:.1f} | {uar} | {values['uar_all_answers']:.1f} | {_session(values)} |"
        )
    means = f"{left_out['mean_uar']:.1f} | | {left_out['mean_uar_every_emotion']:.1f}"
    rows.append(f"| mean of the four unseen corpora | | {means} |")
    return "\n".join(rows)


def _session(result: dict[str, Any]) -> str:
    """UAR within a session with every emotion, with its interval."""
    values = result["in_sessions"]["every_emotion"]
    return _interval({"mean": values["uar"], "ci95": values["uar_ci95"]})


def _interval(value: dict[str, Any]) -> str:
    """A mean with its 95 % interval."""
    low, high = value["ci95"]
    return f"{value['mean']:.1f} ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    typer.run(main)

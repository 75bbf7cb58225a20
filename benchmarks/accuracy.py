"""How often it is right: `python -m benchmarks.accuracy` recomputes every number from the stored predictions.

`benchmarks/results/RECIPE/PROTOCOL/` holds what `python -m train crossval` found: the logits of every test
clip. The table is printed and written between the marks in README.md.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.pages import renew
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
    """Prints the table and writes it into the README; fails where metrics.json says otherwise."""
    text = table(recompute(data), json.loads(METRICS.read_text(encoding="utf-8")))
    renew(readme, BEGIN, END, text)
    typer.echo(text)


def recompute(data: Path) -> dict[str, Any]:
    """Accuracy and UAR, in percent, of each fold and each corpus left out, from the logits."""
    folds = {}
    for path in sorted((data / "ravdess_5fold").glob("*/predictions.csv")):
        found = evaluate.read(path)
        folds[path.parent.name] = {
            "accuracy": percent(evaluate.accuracy(found.predicted, found.targets)),
            "uar": percent(evaluate.unweighted_average_recall(found.predicted, found.targets)),
        }
    corpora = {}
    for path in sorted((data / "leave_one_corpus_out").glob("*/predictions.csv")):
        found = evaluate.read(path)
        four = evaluate.among(found, FOUR_CLASSES)
        corpora[path.parent.name.removeprefix("without_")] = {
            "uar_all_answers": percent(evaluate.unweighted_average_recall(found.predicted, found.targets)),
            "uar_four_classes": percent(evaluate.unweighted_average_recall(four.predicted, four.targets)),
        }
    return {"folds": folds, "corpora": corpora, "in_sessions": _in_sessions(data)}


def _in_sessions(data: Path) -> dict[str, Any]:
    """What the folds together, and each corpus left out, get in each kind of session."""
    folds = sessions.pooled(sorted((data / "ravdess_5fold").glob("*_fold?")))
    told = json.loads((data / "leave_one_corpus_out" / "protocol.json").read_text(encoding="utf-8"))
    corpora = {
        path.name.removeprefix("without_"): sessions.among(
            path, told[path.name.removeprefix("without_")]["classes"]
        )
        for path in sorted((data / "leave_one_corpus_out").glob("without_*"))
    }
    return {"ravdess_5fold": folds["in_sessions"]} | {k: v["in_sessions"] for k, v in corpora.items()}


def check(found: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Raises ValueError where the checkpoint's metrics.json does not say what the predictions give."""
    protocols = metrics["protocols"]
    told = {
        fold["split"]: {"accuracy": fold["accuracy"], "uar": fold["uar"]}
        for fold in protocols["ravdess_5fold"]["folds"]
    }
    if told != found["folds"]:
        raise ValueError(f"metrics.json says {told}, the predictions give {found['folds']}")
    for corpus, values in found["corpora"].items():
        said = protocols["leave_one_corpus_out"][corpus]
        if any(said[key] != value for key, value in values.items()):
            raise ValueError(f"metrics.json and the predictions of {corpus} disagree")
    for name, kinds in found["in_sessions"].items():
        entry = protocols.get(name) or protocols["leave_one_corpus_out"][name]
        if entry["in_sessions"] != kinds:
            raise ValueError(f"metrics.json and the predictions in sessions of {name} disagree")


def table(found: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Markdown, after `check`."""
    check(found, metrics)
    five, out = (metrics["protocols"][name] for name in ("ravdess_5fold", "leave_one_corpus_out"))
    rows = [
        "| test (percent, 95 % interval over speakers) | accuracy | unweighted average recall (UAR) "
        "| UAR with all eight answers open | UAR within a session |",
        "|---|---|---|---|---|",
        f"| RAVDESS, 8 emotions, five folds by actor | {_interval(five['accuracy'])} "
        f"| {_interval(five['uar'])} | {five['uar']['mean']:.1f} | {_session(five)} |",
    ]
    for corpus in found["corpora"]:
        values = out[corpus]
        uar = _interval({"mean": values["uar"], "ci95": values["uar_ci95"]})
        rows.append(
            f"| {corpus}, a corpus never trained on, {len(values['classes'])} emotions | "
            f"{values['accuracy']:.1f} | {uar} | {values['uar_all_answers']:.1f} | {_session(values)} |"
        )
    means = f"{out['mean_uar']:.1f} | | {out['mean_uar_every_emotion']:.1f}"
    rows.append(f"| mean of the four unseen corpora | | {means} |")
    return "\n".join(rows)


def _session(found: dict[str, Any]) -> str:
    values = found["in_sessions"]["every_emotion"]
    return _interval({"mean": values["uar"], "ci95": values["uar_ci95"]})


def _interval(value: dict[str, Any]) -> str:
    low, high = value["ci95"]
    return f"{value['mean']:.1f} ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    typer.run(main)

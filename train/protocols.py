"""Cross-validation: a run a fold, and one table of the whole."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from train import evaluate, report
from train.corpora import CORPORA, Clip, classes_of
from train.evaluate import Predictions, percent
from train.fit import fit
from train.recipe import Recipe
from train.splits import RAVDESS_TEST, Split, leave_corpus_out, ravdess_fold

Protocol = Literal["ravdess_5fold", "leave_one_corpus_out"]
PROTOCOLS = get_args(Protocol)
FOUR_CLASSES = ("neutral", "happy", "sad", "angry")  # those that every corpus has, for comparison across them


def splits(protocol: Protocol, clips: Sequence[Clip]) -> list[Split]:
    """The runs a protocol asks for."""
    if protocol == "ravdess_5fold":
        return [ravdess_fold(clips, fold) for fold in range(len(RAVDESS_TEST))]
    present = {clip.corpus for clip in clips}
    return [leave_corpus_out(clips, corpus) for corpus in CORPORA if corpus in present]


def crossval(
    recipe: Recipe, protocol: Protocol, clips: Sequence[Clip], out: Path, device: str
) -> dict[str, Any]:
    """Runs every split of `protocol` that is not finished in `out`, and writes `out/protocol.json`."""
    runs = splits(protocol, clips)
    for split in runs:
        fit(recipe, split, out / split.name, device)
    return summarise(recipe, protocol, clips, out)


def summarise(recipe: Recipe, protocol: Protocol, clips: Sequence[Clip], out: Path) -> dict[str, Any]:
    """The table of the runs in `out`, made from their predictions; the entry of a `metrics.json`."""
    made = _five_folds(out) if protocol == "ravdess_5fold" else _corpora_out(clips, out)
    result = {
        "selection": "validation actors" if protocol == "ravdess_5fold" else "validation speakers",
        "trained_on": list(recipe.corpora),
        **made,
        "command": "python -m train crossval "
        f"--recipe train/recipes/{recipe.name}.toml --protocol {protocol}",
    }
    (out / "protocol.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _five_folds(out: Path) -> dict[str, Any]:
    folders = [out / f"ravdess_fold{fold}" for fold in range(len(RAVDESS_TEST))]
    folds = [json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in folders]
    together = evaluate.join([evaluate.read(folder / "predictions.csv") for folder in folders])
    report.confusion_files(together, out, "RAVDESS, five folds by actor")
    measured = evaluate.measure(together)

    def mean(key: str) -> float:
        return round(sum(fold[key] for fold in folds) / len(folds), 2)

    return {
        "accuracy": {"mean": mean("accuracy"), "ci95": measured["accuracy_ci95"]},
        "uar": {"mean": mean("uar"), "ci95": measured["uar_ci95"]},
        "macro_f1": {"mean": mean("macro_f1")},
        "ece": {"mean": round(sum(fold["ece"] for fold in folds) / len(folds), 4)},
        "interval": "95 %, bootstrap over the 24 actors of the pooled test predictions",
        "folds": [
            {key: fold[key] for key in ("split", "epoch", "clips", "accuracy", "uar", "macro_f1", "ece")}
            for fold in folds
        ],
        "speakers": by_speaker(together),
    }


def _corpora_out(clips: Sequence[Clip], out: Path) -> dict[str, Any]:
    """Each unseen corpus, judged among the classes it shares with the corpora trained on."""
    classes = classes_of(clips)
    results: dict[str, Any] = {}
    for corpus in classes:
        folder = out / f"without_{corpus}"
        predictions = evaluate.read(folder / "predictions.csv")
        trained = {label for other, labels in classes.items() if other != corpus for label in labels}
        common = [label for label in classes[corpus] if label in trained]
        shared = evaluate.among(predictions, common)
        measured = evaluate.measure(shared)
        four = evaluate.among(predictions, FOUR_CLASSES)
        results[corpus] = {
            "uar": measured["uar"],
            "uar_ci95": measured["uar_ci95"],
            "accuracy": measured["accuracy"],
            "clips": measured["clips"],
            "speakers": measured["speakers"],
            "classes": common,
            "uar_four_classes": percent(evaluate.unweighted_average_recall(four.predicted, four.targets)),
            "epoch": json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["epoch"],
        }
        report.confusion_files(shared, folder, f"{corpus}, never trained on")
    mean = sum(entry["uar"] for entry in results.values()) / len(results)
    return {"mean_uar": round(mean, 2), **results}


def by_speaker(predictions: Predictions) -> dict[str, float]:
    """Accuracy in percent of each speaker, the best first."""
    found = {}
    for speaker in sorted(set(predictions.speakers)):
        rows = [i for i, name in enumerate(predictions.speakers) if name == speaker]
        found[speaker] = percent(evaluate.accuracy(predictions.predicted[rows], predictions.targets[rows]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))

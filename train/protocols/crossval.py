"""Cross-validation protocols: their splits, runs and summary."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.corpora import Clip, check_clips, classes_of
from train.corpora.splits import (
    RAVDESS_TEST,
    Split,
    SplitError,
    everyone,
    from_file,
    leave_corpus_out,
    leave_speaker_out,
    random_by_file,
    ravdess_fold,
    speaker_kfold,
)
from train.data.cache import FeatureCache
from train.fitting.fit import fit
from train.processes import is_first
from train.recipe import Recipe
from train.reports import evaluate, report, sessions
from train.reports.evaluate import percent
from train.reports.evaluate import unweighted_average_recall as uar

PROTOCOLS = (
    "ravdess_5fold",
    "leave_one_corpus_out",
    "speaker_kfold:K",
    "leave_one_speaker_out",
    "random_by_file",
    "FILE.csv",
    "speaker_dependent:FILE.csv",
)
SPLITS = (
    "everyone",
    "ravdess_fold0 … ravdess_fold4",
    "without_CORPUS",
    "speaker_fold0ofK …",
    "without_speaker_CORPUS_SPEAKER",
    *PROTOCOLS[-3:],
)
FOUR_CLASSES = ("neutral", "happy", "sad", "angry")  # in every corpus, for comparison across corpora


def splits(protocol: str, clips: Sequence[Clip], seed: int = 0) -> list[Split]:
    """The splits of `protocol`, one of PROTOCOLS; `seed` is of random splits.

    Raises SplitError for an unknown protocol and where `clips` are too few for it.
    """
    if protocol == "ravdess_5fold":
        return [ravdess_fold(clips, fold) for fold in range(len(RAVDESS_TEST))]
    if protocol == "leave_one_corpus_out":
        return [leave_corpus_out(clips, corpus) for corpus in classes_of(clips)]
    if folds := re.fullmatch(r"speaker_kfold:(\d+)", protocol):
        return speaker_kfold(clips, int(folds[1]), seed)
    if protocol == "leave_one_speaker_out":
        return leave_speaker_out(clips, seed)
    if protocol == "random_by_file":
        return [random_by_file(clips, seed)]
    if protocol.endswith(".csv"):
        path = protocol.removeprefix("speaker_dependent:")
        return [from_file(clips, Path(path), speaker_dependent=path != protocol)]
    raise SplitError(f"no protocol is called {protocol}; there are {', '.join(PROTOCOLS)}")


def split_named(name: str, clips: Sequence[Clip], seed: int = 0) -> Split:
    """The split called `name`, one of SPLITS; raises SplitError as `splits` does."""
    if name == "everyone":
        return everyone(clips)
    if name == "random_by_file" or name.endswith(".csv"):
        return splits(name, clips, seed)[0]
    if fold := re.fullmatch(r"speaker_fold\d+of(\d+)", name):
        candidates = speaker_kfold(clips, int(fold[1]), seed)
    elif name.startswith("without_speaker_"):
        candidates = leave_speaker_out(clips, seed)
    elif name.startswith("without_"):
        candidates = [leave_corpus_out(clips, name.removeprefix("without_"))]
    elif name.startswith("ravdess_fold"):
        candidates = splits("ravdess_5fold", clips)
    else:
        raise SplitError(f"no split is called {name}; there are {', '.join(SPLITS)}")
    for split in candidates:
        if split.name == name:
            return split
    raise SplitError(f"no split is called {name}; there are {', '.join(split.name for split in candidates)}")


def folder_name(protocol: str) -> str:
    """The folder name of a protocol or split: `speaker_kfold:5` gives `speaker_kfold_5`."""
    kind, _, rest = protocol.rpartition(":")
    rest = Path(rest).stem
    return f"{kind}_{rest}" if kind else rest


def crossval(
    recipe: Recipe,
    protocol: str,
    clips: Sequence[Clip],
    out: Path,
    device: str,
    cache: FeatureCache = FeatureCache(),
    devices: int = 1,
    nodes: int = 1,
) -> dict[str, Any]:
    """Runs every split of `protocol` that is not finished in `out`, and writes `out/protocol.json`.

    In distributed training, rank 0 writes and returns it; the others return an empty dictionary.
    Raises what `fit` raises; clips of all splits are checked before the first one starts.
    """
    runs = splits(protocol, clips, recipe.seed)
    unfinished = [split for split in runs if not (out / split.name / "metrics.json").is_file()]
    check_clips(clip for s in unfinished for clip in (*s.train, *s.validation, *s.test))
    for split in runs:
        fit(recipe, split, out / split.name, device, cache, devices, nodes)
    return summarise(recipe, protocol, clips, out) if is_first() else {}


def summarise(recipe: Recipe, protocol: str, clips: Sequence[Clip], out: Path) -> dict[str, Any]:
    """The summary of the runs in `out`, from their predictions, which it writes to `protocol.json`."""
    runs = splits(protocol, clips, recipe.seed)
    dependent = any(split.speaker_dependent for split in runs)
    if protocol == "ravdess_5fold":
        selection = "validation actors"
        summary = _pooled(runs, out, "RAVDESS, five folds by actor", "actors")
    elif protocol == "leave_one_corpus_out":
        selection = "validation speakers"
        summary = _corpora_out(clips, out)
    else:
        selection = "validation recordings" if dependent else "validation speakers"
        title = f"{protocol}, speaker-dependent" if dependent else protocol
        summary = {"protocol": title, "speaker_dependent": dependent}
        summary |= _pooled(runs, out, title, "speakers")
    if recipe.sessions:
        selection = "nobody: the number of epochs is fixed"
    result = {
        "selection": selection,
        "trained_on": list(recipe.corpora),  # except corpora that a run leaves out, see its entry
        **summary,
        "command": "python -m train crossval "
        f"--recipe train/recipes/{recipe.name}.toml --protocol {protocol}",
    }
    (out / "protocol.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _pooled(runs: Sequence[Split], out: Path, title: str, speakers: str) -> dict[str, Any]:
    """Mean metrics of the runs, with intervals from their pooled test predictions."""
    folders = [out / split.name for split in runs]
    folds = [json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in folders]
    predictions = evaluate.join([evaluate.read(folder / "predictions.csv") for folder in folders])
    clips = [clip for split in runs for clip in split.test]
    report.files(predictions, clips, out, title)
    measured = evaluate.measure(predictions)

    def mean(key: str) -> float:
        return round(sum(float(fold[key]) for fold in folds) / len(folds), 2)

    return {
        "accuracy": {"mean": mean("accuracy"), "ci95": measured["accuracy_ci95"]},
        "uar": {"mean": mean("uar"), "ci95": measured["uar_ci95"]},
        "macro_f1": {"mean": mean("macro_f1")},
        "ece": {"mean": round(sum(fold["ece"] for fold in folds) / len(folds), 4)},
        "interval": f"95 %, bootstrap over the {measured['speakers']} {speakers} "
        "of the pooled test predictions",
        "folds": [
            {key: fold[key] for key in ("split", "epoch", "clips", "accuracy", "uar", "macro_f1", "ece")}
            for fold in folds
        ],
        "speakers": {row.speaker: row.accuracy for row in report.per_speaker(predictions, {})},  # best first
        "genders": report.per_gender(predictions, clips),
        **sessions.pooled(folders),
    }


def _corpora_out(clips: Sequence[Clip], out: Path) -> dict[str, Any]:
    """Metrics on each corpus left out, among the classes that it shares with the training corpora."""
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
            "trained_on": [other for other in classes if other != corpus],
            "classes": common,
            "uar_all_answers": percent(uar(predictions.predicted, predictions.targets)),
            "uar_four_classes": percent(uar(four.predicted, four.targets)),
            "epoch": json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["epoch"],
            **sessions.among(folder, common),
        }
        report.confusion_files(shared, folder, f"{corpus}, never trained on")
    mean = sum(entry["uar"] for entry in results.values()) / len(results)
    means = {"mean_uar": round(mean, 2)}
    if all("in_sessions" in entry for entry in results.values()):
        for kind in sessions.KINDS:
            uars = [entry["in_sessions"][kind]["uar"] for entry in results.values()]
            means[f"mean_uar_{kind}"] = round(sum(uars) / len(uars), 2)
    return {**means, **results}

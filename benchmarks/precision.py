"""Accuracy with fewer bits: `python -m benchmarks.precision` prints a table and writes it as JSON.

The models of the RAVDESS folds, as `python -m train crossval` left them in runs/, are tested on their test
actors in float32, in bfloat16 and as ONNX with 8-bit matrices: clips by themselves, and each actor's clips as
a session, in the same random order for all.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ser_core import Recognizer
from ser_core.emotions import LABELS
from ser_core.models.session import Session
from train import corpora
from train.corpora import Clip
from train.data.cache import FeatureCache, default_folder
from train.data.speech import FULL_SCALE
from train.export import onnx
from train.protocols import crossval
from train.reports.evaluate import accuracy, percent, unweighted_average_recall

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "whisper_base_adaptive" / "ravdess_5fold"
RESULTS = ROOT / "benchmarks" / "results" / "precision.json"
MODES: dict[str, dict[str, Any]] = {
    "float32": {"device": "cpu", "precision": "float32"},
    "bfloat16": {"device": "cpu", "precision": "bfloat16"},
    "onnx-int8": {"runtime": "onnx-int8"},
}


def main(
    runs: Annotated[Path, typer.Option(help="where crossval left the folds' runs")] = RUNS,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = ROOT.parent
    / "shared"
    / "data",
    folds: Annotated[int, typer.Option(help="how many of the five to take")] = 5,
    results: Annotated[Path, typer.Option(help="where the figures go")] = RESULTS,
) -> None:
    """Prints and writes the table."""
    clips = corpora.read(data, ["ravdess"])
    predictions: dict[str, list[np.ndarray]] = {}
    targets = []
    for number in range(folds):
        split = crossval.split_named(f"ravdess_fold{number}", clips, 0)
        targets += [LABELS.index(clip.emotion) for clip in split.test]
        for name, labels in fold(runs / f"ravdess_fold{number}" / "bundle", split.test, number).items():
            predictions.setdefault(name, []).append(labels)
    report: dict[str, Any] = {"clips": len(targets), "folds": folds, "rows": {}}
    float32 = {}
    for name, parts in predictions.items():
        kind = name.split(", ")[1]
        predicted = np.concatenate(parts)
        float32.setdefault(kind, predicted)
        report["rows"][name] = {
            "accuracy": percent(accuracy(predicted, np.array(targets))),
            "uar": percent(unweighted_average_recall(predicted, np.array(targets))),
            "same_answer": percent(float(np.mean(predicted == float32[kind]))),
        }
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    typer.echo(
        f"{len(targets)} clips of {folds} folds, percent{'accuracy':>17}{'UAR':>8}{'as in float32':>15}"
    )
    for name, row in report["rows"].items():
        typer.echo(f"{name:<40}{row['accuracy']:>11.1f}{row['uar']:>8.1f}{row['same_answer']:>15.1f}")


def fold(folder: Path, clips: list[Clip], seed: int) -> dict[str, np.ndarray]:
    """Predicted classes, shape (clip,), of one fold's model in each mode, alone and in sessions."""
    speech = [(samples / FULL_SCALE) for samples in FeatureCache(default_folder()).speech(clips)]
    speakers = {clip.speaker for clip in clips}
    order = np.random.default_rng(seed).permutation(len(clips))
    predictions = {}
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "model"
        shutil.copytree(folder, copy)
        onnx.write(copy)
        for mode, options in MODES.items():
            recognizer = Recognizer.load(copy, **options)
            predictions[f"{mode}, alone"] = recognizer.probabilities(speech).argmax(1)
            sessions = {speaker: Session() for speaker in speakers}
            owners = [sessions[clips[row].speaker] for row in order]
            labels = np.zeros(len(clips), np.int64)
            rows = recognizer.runtime.in_sessions(
                [speech[row] for row in order], owners, [True] * len(order)
            ).in_session
            labels[order] = rows.argmax(1)
            predictions[f"{mode}, in sessions"] = labels
    return predictions


if __name__ == "__main__":
    typer.run(main)

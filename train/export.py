"""From runs to a checkpoint the app can use: weights, calibration from unseen speakers, card, metrics."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_core import bundle as bundles
from ser_core.bundle import METRICS, Bundle
from ser_core.features import FeatureExtractor
from train import evaluate as evaluation
from train import report
from train.card import model_card
from train.corpora import Clip
from train.evaluate import Predictions
from train.fit import RunError

# With calibrated probabilities an answer below this is more likely wrong than right.
THRESHOLD = 0.5
LICENCES = {
    "ravdess": "CC BY-NC-SA 4.0",
    "nemo": "CC BY-NC-SA 4.0",
    "tess": "CC BY-NC-ND 4.0",
    "emovo": "research use",
}
LICENCE = "CC BY-NC-SA 4.0 (non-commercial, because of the corpora it was trained on)"


def export(run: Path, checkpoint: Path, measured: Sequence[Path]) -> Bundle:
    """Ships the weights of `run` as the folder `checkpoint`, with the results of the folders `measured`.

    The temperature is fitted on the test predictions of the folds: speakers those models never heard.
    """
    protocols = {folder.name: _protocol(folder) for folder in measured}
    trained, model = bundles.load(run / "bundle")
    checkpoint.mkdir(parents=True, exist_ok=True)
    metrics: dict[str, Any] = {"protocols": protocols}
    if "ravdess_5fold" in protocols:
        folder = next(folder for folder in measured if folder.name == "ravdess_5fold")
        unseen = evaluation.join([evaluation.read(path) for path in sorted(folder.glob("*/predictions.csv"))])
        temperature = evaluation.temperature_of(unseen)
        metrics["calibration"] = calibration(unseen, temperature)
        trained = replace(trained, temperature=temperature, threshold=THRESHOLD)
        report.confusion_files(unseen, checkpoint, "RAVDESS, five folds by actor")
    saved = bundles.save(checkpoint, replace(trained, name=checkpoint.name, licence=LICENCE), model)
    (checkpoint / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    saved = bundles.read(checkpoint)
    (checkpoint / "README.md").write_text(model_card(saved), encoding="utf-8")
    return saved


def calibration(unseen: Predictions, temperature: float) -> dict[str, Any]:
    """How far confidence can be trusted on the pooled folds, and what abstaining below the threshold buys."""
    measured = evaluation.measure(unseen, temperature)
    confident = evaluation.confident(unseen, temperature, THRESHOLD)
    return {
        "temperature": round(temperature, 4),
        "ece": measured["ece"],
        "ece_unscaled": evaluation.measure(unseen)["ece"],
        "threshold": THRESHOLD,
        "answered": evaluation.percent(len(confident.files) / len(unseen.files)),
        "accuracy_of_answered": evaluation.percent(
            evaluation.accuracy(confident.predicted, confident.targets)
        ),
        "fitted_on": "pooled test predictions of the five RAVDESS folds",
    }


def evaluate(checkpoint: str, clips: Sequence[Clip]) -> tuple[Predictions, list[str]]:
    """Predictions of a checkpoint, and which of the corpora it was trained on."""
    bundle, model = bundles.load(checkpoint)
    predictions = evaluation.predict(model, FeatureExtractor(bundle.features), clips, "cpu")
    trained = {entry.split(" ")[0] for entry in bundle.training_data}
    return predictions, sorted(trained & {clip.corpus for clip in clips})


def _protocol(folder: Path) -> dict[str, Any]:
    path = folder / "protocol.json"
    if not path.is_file():
        raise RunError(f"{folder} has no protocol.json: finish its crossval first")
    return dict(json.loads(path.read_text(encoding="utf-8")))

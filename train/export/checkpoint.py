"""Exports a run as a checkpoint for the app: weights, calibration on unseen clips, card, metrics."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import METRICS, Bundle
from ser_core.models.session import MODESTY
from train.errors import RunError
from train.reports import evaluate as evaluation
from train.reports import report, selective, sessions
from train.reports.card import model_card
from train.reports.evaluate import Predictions
from train.reports.provenance import licence, origin

# On corpora outside the training data, predictions of slightly less confidence are wrong for more than half
# of the clips by themselves, and for half of those in sessions (`accuracy_of_nearly_answered`). For unseen
# RAVDESS actors, 0.5 would suffice.
THRESHOLD = 0.6
NEARLY = 0.1  # width in confidence of the range below the threshold
# Upper bound of the expected calibration error on unseen speakers of training corpora. Within it, the
# temperature is raised towards the one that fits corpora outside the training data.
PROMISED_ECE = 0.05
TEMPERATURE_STEP = 0.01


def export(
    run: Path,
    checkpoint: Path,
    measured: Sequence[Path] = (),
    version: str = "1",
    left_out: Path | None = None,
    base: str = "",
) -> Bundle:
    """Saves the weights of `run` in the folder `checkpoint`, with the results of the folders `measured`.

    If one of these has folds (preferably by speaker), the temperature is fitted on their pooled test
    predictions, which are of unseen clips. Otherwise the run's own temperature is used, fitted on its
    validation part. Corpora that were left out raise the temperature as far as PROMISED_ECE allows.
    The test results of the run itself are included too. `left_out`, a file of `benchmarks.left_out`, decides
    gate, joint model, temperature and modesty instead. `base`, a checkpoint beside `checkpoint`, keeps the
    encoders that both have, see `bundles.save`.
    Raises RunError for a run or crossval that is not finished, BundleError for a `base` with other encoders.
    """
    recipe = _json(
        run / "recipe.json", f"{run} is no run: name a folder that fit made (or one of a crossval)"
    )
    run_metrics = _json(run / METRICS, f"{run} is not finished: give the command that began it again")
    trained, model = bundles.load(run / "bundle")
    protocols = {folder.name: _protocol(folder) for folder in measured}
    if "accuracy" in run_metrics:
        protocols.setdefault(str(run_metrics["split"]), _own_protocol(run, recipe, run_metrics))
    metrics: dict[str, Any] = {"protocols": protocols}
    checkpoint.mkdir(parents=True, exist_ok=True)
    folded = [folder for folder in measured if "folds" in protocols[folder.name]]
    if folded:
        source_folder = min(folded, key=lambda folder: bool(protocols[folder.name].get("speaker_dependent")))
        title = str(protocols[source_folder.name].get("protocol", "the five RAVDESS folds"))
        predictions = _pooled(source_folder, protocols[source_folder.name])
        if predictions is None:
            raise RunError(f"{source_folder} lacks predictions of its folds: run its crossval again")
        in_session = _pooled(source_folder, protocols[source_folder.name], sessions.file_of("every_emotion"))
        known = [predictions, in_session] if in_session else [predictions]
        unknown = [part for parts in _left_out(measured, protocols).values() for part in parts]
        trained = replace(trained, temperature=_temperature(known, unknown), threshold=THRESHOLD)
        raised = f", raised for corpora left out as far as {PROMISED_ECE} allows" if unknown else ""
        source = {"fitted_on": f"pooled test predictions of {title}{raised}", "protocol": source_folder.name}
    elif "accuracy" in run_metrics:
        title = str(run_metrics["split"])
        predictions, in_session = evaluation.read(run / "predictions.csv"), None
        trained = replace(trained, threshold=THRESHOLD)
        source = {"fitted_on": f"the validation part of {title}", "protocol": title}
    modesty = trained.options.get("modesty", MODESTY)  # of the measured predictions
    if left_out is not None:
        metrics["left_out"] = _json(left_out, f"{left_out} is missing: run python -m benchmarks.left_out")
        chosen = metrics["left_out"]["chosen_on_all"]
        options = {**trained.options, "gate": list(chosen["gate"]), "modesty": chosen["modesty"]}
        if chosen.get("joint"):
            options["joint"] = list(chosen["joint"])
        threshold = metrics["left_out"]["threshold"]
        trained = replace(trained, temperature=chosen["temperature"], threshold=threshold, options=options)
    if folded or "accuracy" in run_metrics:
        if left_out is not None:
            source["fitted_on"] = "corpora left out"
            # Of clips by themselves, modesty divides log-probabilities as a temperature does.
            lone_temperature = trained.temperature * (1 + chosen["modesty"]) / (1 + modesty)
            metrics["calibration"] = (
                answers_left_out(predictions, lone_temperature, trained, metrics) | source
            )
            curves = {"clips by themselves": predictions}
            selective.draw(curves, lone_temperature, trained.threshold, checkpoint / selective.PICTURE)
        else:
            metrics["calibration"] = calibration(predictions, trained.temperature, trained.threshold) | source
            curves = {"clips by themselves": predictions}
            if in_session:
                metrics["calibration"]["in_sessions"] = calibration(
                    in_session, trained.temperature, trained.threshold
                )
                curves["clips within a session"] = in_session
            if strangers := _left_out(measured, protocols):
                metrics["calibration"]["strangers"] = {
                    corpus: _cross_corpus_calibration(parts, trained.temperature, trained.threshold)
                    for corpus, parts in strangers.items()
                }
            selective.draw(curves, trained.temperature, trained.threshold, checkpoint / selective.PICTURE)
        report.confusion_files(predictions, checkpoint, title)
    corpora = [entry.split(" ")[0] for entry in trained.training_data]
    shipped = replace(trained, name=checkpoint.name, version=version, licence=licence(corpora))
    bundles.save(checkpoint, shipped, model, base)
    (checkpoint / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    saved = bundles.read(checkpoint)
    (checkpoint / "README.md").write_text(model_card(saved, origin(recipe)), encoding="utf-8")
    return saved


def calibration(predictions: Predictions, temperature: float, threshold: float = THRESHOLD) -> dict[str, Any]:
    """Calibration error of `predictions`, and accuracy with abstention below the threshold."""
    measured = evaluation.measure(predictions, temperature)
    nearly_answered = evaluation.confident(predictions, temperature, threshold - NEARLY, threshold)
    return {
        "temperature": round(temperature, 4),
        "ece": measured["ece"],
        "ece_unscaled": evaluation.measure(predictions)["ece"],
        "threshold": threshold,
        **evaluation.answers(predictions, temperature, threshold),
        "accuracy_of_nearly_answered": evaluation.percent_correct(nearly_answered),
        "accuracy_of_surest_80": selective.accuracy_at(predictions, temperature),
    }


def answers_left_out(
    predictions: Predictions, temperature: float, shipped: Bundle, metrics: dict[str, Any]
) -> dict[str, Any]:
    """`calibration` of a checkpoint whose properties corpora left out have chosen.

    `temperature` is that of `predictions`, of clips by themselves, with the checkpoint's modesty in it. What
    is answered, and how surely, is what `benchmarks.left_out` measured of RAVDESS' actors, if it did: with
    the properties that the other corpora chose. Corpora left out stand in its own table.
    """
    alone = calibration(predictions, temperature, shipped.threshold) | {"temperature": shipped.temperature}
    del alone["ece_unscaled"]
    keys = ("ece", "answered", "accuracy_of_answered")
    if not (actors := metrics["left_out"].get("ravdess_5fold")):
        return alone
    measured = {kind: {key: actors[kind][key] for key in keys} for kind in ("by_themselves", "every_emotion")}
    return alone | measured["by_themselves"] | {"in_sessions": measured["every_emotion"]}


def _temperature(in_corpora: Sequence[Predictions], left_out: Sequence[Predictions]) -> float:
    """The temperature fitted on `in_corpora`, unseen speakers of training corpora, or a higher one.

    It is raised up to the one that fits `left_out`, predictions on corpora that were left out, while the
    calibration error of each of `in_corpora` is at most PROMISED_ECE.
    """
    temperature = evaluation.temperature_of(evaluation.join(in_corpora))
    wanted_temperature = evaluation.temperature_of(evaluation.join(left_out)) if left_out else temperature
    while (next_temperature := temperature + TEMPERATURE_STEP) <= wanted_temperature and all(
        evaluation.calibration_error(part, next_temperature) <= PROMISED_ECE for part in in_corpora
    ):
        temperature = next_temperature
    return temperature


def _left_out(measured: Sequence[Path], protocols: dict[str, Any]) -> dict[str, list[Predictions]]:
    """Predictions on each corpus left out: clips by themselves and, for adaptive models, in sessions."""
    predictions: dict[str, list[Predictions]] = {}
    for folder in measured:
        for corpus, result in protocols[folder.name].items():
            if not isinstance(result, dict) or "uar_all_answers" not in result:
                continue
            run = folder / f"without_{corpus}"
            files = [run / "predictions.csv", run / sessions.file_of("every_emotion")]
            predictions[corpus] = [evaluation.read(file) for file in files if file.is_file()]
    return predictions


def _cross_corpus_calibration(
    parts: list[Predictions], temperature: float, threshold: float
) -> dict[str, Any]:
    """`calibration` on a corpus left out: clips by themselves and, if predicted, in sessions."""
    results = [calibration(part, temperature, threshold) for part in parts]
    return results[0] | ({"in_sessions": results[1]} if len(results) > 1 else {})


def _pooled(folder: Path, protocol: dict[str, Any], name: str = "predictions.csv") -> Predictions | None:
    """The pooled test predictions of a crossval's folds; None where a run lacks the file `name`."""
    paths = [folder / fold["split"] / name for fold in protocol["folds"]]
    if not all(path.is_file() for path in paths):
        return None
    return evaluation.join([evaluation.read(path) for path in paths])


def _own_protocol(run: Path, recipe: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """The test results of the exported weights themselves, as a protocol's entry in metrics.json."""
    dependent = bool(metrics.get("speaker_dependent", False))
    name = f"{metrics['split']}, speaker-dependent" if dependent else str(metrics["split"])
    speakers = report.per_speaker(evaluation.read(run / "predictions.csv"), {})
    return {
        "protocol": name,
        "speaker_dependent": dependent,
        "selection": "validation recordings" if dependent else "validation speakers",
        "trained_on": recipe["corpora"],
        "accuracy": {"mean": metrics["accuracy"], "ci95": metrics["accuracy_ci95"]},
        "uar": {"mean": metrics["uar"], "ci95": metrics["uar_ci95"]},
        "macro_f1": {"mean": metrics["macro_f1"]},
        "ece": {"mean": metrics["ece"]},
        "interval": f"95 %, bootstrap over the {metrics['speakers']} speakers of the test part",
        "runs": 1,
        "clips": metrics["clips"],
        "speakers": {row.speaker: row.accuracy for row in speakers},
        "command": f"python -m train fit --recipe train/recipes/{recipe['name']}.toml "
        f"--split {metrics['split']}",
    }


def _protocol(folder: Path) -> dict[str, Any]:
    return _json(folder / "protocol.json", f"{folder} has no protocol.json: finish its crossval first")


def _json(path: Path, absent: str) -> dict[str, Any]:
    """The object in `path`; RunError with `absent` where there is none."""
    if not path.is_file():
        raise RunError(absent)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}): run what wrote it again") from None

"""From runs to a checkpoint the app can use: weights, calibration from unseen clips, card, metrics."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import METRICS, Bundle
from train.errors import RunError
from train.reports import evaluate as evaluation
from train.reports import report, selective, sessions
from train.reports.card import model_card
from train.reports.evaluate import Predictions
from train.reports.provenance import licence, origin

# Just below this, answers about clips by themselves of corpora never trained on are wrong more often than
# right, and half of those in sessions (`accuracy_of_nearly_answered`). Unseen actors would bear 0.5.
THRESHOLD = 0.6
NEARLY = 0.1  # of confidence, below the threshold
# Unseen speakers of a corpus that was trained on are told how sure the model is to within this (expected
# calibration error); within it, the temperature is as high as corpora never trained on would have it.
PROMISED_ECE = 0.05
TEMPERATURE_STEP = 0.01


def export(run: Path, checkpoint: Path, measured: Sequence[Path] = (), version: str = "1") -> Bundle:
    """Ships the weights of `run` as the folder `checkpoint`, with the results of the folders `measured`.

    If one of them has folds (by speaker, if there is a choice), the temperature is fitted on their test
    predictions: clips those models never heard. Else the run's own stays, fitted on its validation part.
    Corpora that were left out raise it as far as PROMISED_ECE lets them.
    What the run itself was tested on is told as well.
    Raises RunError for a run or crossval that is not finished.
    """
    recipe = _json(
        run / "recipe.json", f"{run} is no run: name a folder that fit made (or one of a crossval)"
    )
    own = _json(run / METRICS, f"{run} is not finished: give the command that began it again")
    trained, model = bundles.load(run / "bundle")
    protocols = {folder.name: _protocol(folder) for folder in measured}
    if "accuracy" in own:
        protocols.setdefault(str(own["split"]), _own(run, recipe, own))
    metrics: dict[str, Any] = {"protocols": protocols}
    checkpoint.mkdir(parents=True, exist_ok=True)
    folded = [folder for folder in measured if "folds" in protocols[folder.name]]
    if folded:
        quoted = min(folded, key=lambda folder: bool(protocols[folder.name].get("speaker_dependent")))
        title = str(protocols[quoted.name].get("protocol", "the five RAVDESS folds"))
        unseen = _pooled(quoted, protocols[quoted.name])
        if unseen is None:
            raise RunError(f"{quoted} lacks predictions of its folds: run its crossval again")
        in_session = _pooled(quoted, protocols[quoted.name], sessions.file_of("every_emotion"))
        known = [unseen, in_session] if in_session else [unseen]
        unknown = [part for parts in _left_out(measured, protocols).values() for part in parts]
        trained = replace(trained, temperature=_temperature(known, unknown), threshold=THRESHOLD)
        raised = f", raised for corpora left out as far as {PROMISED_ECE} allows" if unknown else ""
        told = {"fitted_on": f"pooled test predictions of {title}{raised}", "protocol": quoted.name}
    elif "accuracy" in own:
        title = str(own["split"])
        unseen, in_session = evaluation.read(run / "predictions.csv"), None
        trained = replace(trained, threshold=THRESHOLD)
        told = {"fitted_on": f"the validation part of {title}", "protocol": title}
    if folded or "accuracy" in own:
        metrics["calibration"] = calibration(unseen, trained.temperature) | told
        shown = {"clips by themselves": unseen}
        if in_session:
            metrics["calibration"]["in_sessions"] = calibration(in_session, trained.temperature)
            shown["clips within a session"] = in_session
        if strangers := _left_out(measured, protocols):
            metrics["calibration"]["strangers"] = {
                corpus: _of_strangers(parts, trained.temperature) for corpus, parts in strangers.items()
            }
        selective.draw(shown, trained.temperature, THRESHOLD, checkpoint / selective.PICTURE)
        report.confusion_files(unseen, checkpoint, title)
    corpora = [entry.split(" ")[0] for entry in trained.training_data]
    shipped = replace(trained, name=checkpoint.name, version=version, licence=licence(corpora))
    bundles.save(checkpoint, shipped, model)
    (checkpoint / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    saved = bundles.read(checkpoint)
    (checkpoint / "README.md").write_text(model_card(saved, origin(recipe)), encoding="utf-8")
    return saved


def calibration(unseen: Predictions, temperature: float) -> dict[str, Any]:
    """How far confidence can be trusted on `unseen`, and what abstaining below the threshold buys."""
    measured = evaluation.measure(unseen, temperature)
    nearly = evaluation.confident(unseen, temperature, THRESHOLD - NEARLY, THRESHOLD)
    return {
        "temperature": round(temperature, 4),
        "ece": measured["ece"],
        "ece_unscaled": evaluation.measure(unseen)["ece"],
        "threshold": THRESHOLD,
        **evaluation.answers(unseen, temperature, THRESHOLD),
        "accuracy_of_nearly_answered": evaluation.percent_correct(nearly),
        "accuracy_of_surest_80": selective.accuracy_at(unseen, temperature),
    }


def _temperature(known: Sequence[Predictions], unknown: Sequence[Predictions]) -> float:
    """Fitted on unseen speakers of `known` corpora; higher, where corpora that were left out want it so.

    As high as they want it, but no higher than keeps each of `known` within PROMISED_ECE.
    """
    found = evaluation.temperature_of(evaluation.join(known))
    wanted = evaluation.temperature_of(evaluation.join(unknown)) if unknown else found
    while (higher := found + TEMPERATURE_STEP) <= wanted and all(
        evaluation.calibration_error(part, higher) <= PROMISED_ECE for part in known
    ):
        found = higher
    return found


def _left_out(measured: Sequence[Path], protocols: dict[str, Any]) -> dict[str, list[Predictions]]:
    """Of each corpus that a run was not trained on its clips by themselves, and if it adapts, in sessions."""
    found: dict[str, list[Predictions]] = {}
    for folder in measured:
        for corpus, told in protocols[folder.name].items():
            if not isinstance(told, dict) or "uar_all_answers" not in told:
                continue
            run = folder / f"without_{corpus}"
            files = [run / "predictions.csv", run / sessions.file_of("every_emotion")]
            found[corpus] = [evaluation.read(file) for file in files if file.is_file()]
    return found


def _of_strangers(parts: list[Predictions], temperature: float) -> dict[str, Any]:
    """`calibration` on a corpus that was left out, by itself and where there is one, in sessions."""
    found = [calibration(part, temperature) for part in parts]
    return found[0] | ({"in_sessions": found[1]} if len(found) > 1 else {})


def _pooled(folder: Path, protocol: dict[str, Any], name: str = "predictions.csv") -> Predictions | None:
    """The test predictions of a crossval's folds together; None where its runs have none of that `name`."""
    paths = [folder / fold["split"] / name for fold in protocol["folds"]]
    if not all(path.is_file() for path in paths):
        return None
    return evaluation.join([evaluation.read(path) for path in paths])


def _own(run: Path, recipe: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The test of the shipped weights themselves, as a protocol's entry in metrics.json."""
    dependent = bool(own.get("speaker_dependent", False))
    name = f"{own['split']}, speaker-dependent" if dependent else str(own["split"])
    tested = report.per_speaker(evaluation.read(run / "predictions.csv"), {})
    return {
        "protocol": name,
        "speaker_dependent": dependent,
        "selection": "validation recordings" if dependent else "validation speakers",
        "trained_on": recipe["corpora"],
        "accuracy": {"mean": own["accuracy"], "ci95": own["accuracy_ci95"]},
        "uar": {"mean": own["uar"], "ci95": own["uar_ci95"]},
        "macro_f1": {"mean": own["macro_f1"]},
        "ece": {"mean": own["ece"]},
        "interval": f"95 %, bootstrap over the {own['speakers']} speakers of the test part",
        "runs": 1,
        "clips": own["clips"],
        "speakers": {row.speaker: row.accuracy for row in tested},
        "command": f"python -m train fit --recipe train/recipes/{recipe['name']}.toml --split {own['split']}",
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

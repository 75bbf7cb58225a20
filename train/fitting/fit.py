"""One training run: training, selection of the epoch on the validation part, and test.

A run's folder holds `recipe.json`, `split.csv`, `curves.csv`, Lightning's checkpoints (for resuming only),
TensorBoard's curves, and at the end a bundle, `predictions.csv`, figures, tables, a card (`README.md`) and
`metrics.json`. A run with `metrics.json`, which is written last, is finished.
"""

import csv
import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.models.whisper_probe import WhisperProbe
from train.corpora import check_clips
from train.corpora.splits import Split, check_leaks
from train.data.cache import FeatureCache
from train.data.embeddings import Embedder
from train.errors import RunError as RunError
from train.fitting import adaptive, distil
from train.fitting.checks import check_training_part
from train.fitting.module import EmotionModule
from train.fitting.probe import add_probe
from train.fitting.training import BEST, LAST, loaders, train, trainer_for
from train.fitting.tune import tune
from train.processes import is_first
from train.recipe import Recipe
from train.reports import curves, evaluate, report, sessions
from train.reports.run_card import run_card

log = logging.getLogger(__name__)
VERSION = "1"  # of the bundles that runs save


def fit(
    recipe: Recipe,
    split: Split,
    folder: Path,
    device: str = "auto",
    cache: FeatureCache = FeatureCache(),
    devices: int = 1,
    nodes: int = 1,
) -> dict[str, Any]:
    """Trains, or resumes after the last finished epoch in `folder`; returns the content of `metrics.json`.

    Selects the epoch with the lowest validation loss, or the last one without a validation part. With several
    `devices` (per machine) or `nodes` (machines), every process calls this; rank 0 evaluates and writes while
    the others wait.
    Raises CorpusError for clips that cannot be trained on; LeakError for a split that leaks; RunError where
    `folder` holds a run of another recipe or split, or where the training part is unsuitable for the recipe;
    and what `cache` raises.
    """
    if not (folder / "metrics.json").is_file():
        check_clips([*split.train, *split.validation, *split.test])
    check_leaks(split)
    check_training_part(recipe, split)
    if is_first():
        _write_settings(recipe, split, folder)
    path = folder / "metrics.json"
    if path.is_file():
        log.info("%s is finished", folder)
    elif recipe.sessions:
        clips = (*split.train, *split.validation) if recipe.train_on_validation else split.train
        distilled = distil.fit_encoder(recipe, clips, folder, cache) if recipe.teacher else None
        embedder = Embedder(recipe, cache, model=distilled)
        model = adaptive.fit_heads(recipe, clips, embedder)
        if recipe.encoder_epochs:
            model = tune(model, recipe, clips, embedder, folder)
        _report(model, recipe.epochs - 1, recipe, split, folder, cache)
    else:
        trainer = trainer_for(recipe, split, folder, device, devices, nodes)
        module = train(trainer, recipe, split, folder, cache)
        if is_first():
            _report(*_selected_model(module, recipe, split, folder, cache), recipe, split, folder, cache)
        trainer.strategy.barrier()
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _selected_model(
    module: EmotionModule, recipe: Recipe, split: Split, folder: Path, cache: FeatureCache
) -> tuple[nn.Module, int]:
    """The model of the selected epoch, and the number of that epoch."""
    path = folder / (BEST if split.validation else LAST)
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])  # the averaged weights, if the recipe averages
    module.estimate_batch_norm(loaders(recipe, split, module.spec, cache)[0].dataset)
    model: nn.Module = module.model
    if recipe.probe_decay:
        model = add_probe(model, recipe, split.train, cache)
    return model, checkpoint["epoch"]


def _report(
    model: nn.Module, epoch: int, recipe: Recipe, split: Split, folder: Path, cache: FeatureCache
) -> None:
    """Saves the bundle, tests it, and writes figures, card and, last, `metrics.json`."""
    saved = _save_bundle(recipe, split, model, folder)
    metrics: dict[str, Any] = {"run": folder.name, "split": split.name, "epoch": epoch}
    if split.speaker_dependent:
        metrics["speaker_dependent"] = True
    if split.test:
        metrics |= _test(saved, recipe, split, folder, cache)
    curves.draw(folder, epoch, f"{recipe.name}, {split.name}")
    (folder / "README.md").write_text(run_card(recipe, split, saved, metrics, folder), encoding="utf-8")
    partial = folder / "metrics.json.partial"
    partial.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / "metrics.json")


def _write_settings(recipe: Recipe, split: Split, folder: Path) -> None:
    """Writes `recipe.json` and `split.csv`; raises RunError for a folder with another run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.json"
    settings = json.dumps(recipe.to_dict() | {"split": split.name}, indent=2) + "\n"
    if path.is_file():
        defaults = json.dumps(
            Recipe(recipe.name, recipe.architecture).to_dict()
        )  # the file may lack newer keys
        earlier = json.loads(defaults) | json.loads(path.read_text(encoding="utf-8"))
        if earlier != json.loads(settings):
            raise RunError(
                f"{folder} holds a run of another recipe or split: name another --out, or remove it"
            )
    path.write_text(settings, encoding="utf-8")
    with (folder / "split.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "corpus", "speaker", "file"])
        for part in ("train", "validation", "test"):
            writer.writerows([part, c.corpus, c.speaker, c.file] for c in getattr(split, part))


def _save_bundle(recipe: Recipe, split: Split, model: nn.Module, folder: Path) -> Bundle:
    probed = isinstance(model, WhisperProbe)
    speakers = {c.corpus: len({d.speaker for d in split.train if d.corpus == c.corpus}) for c in split.train}
    return bundles.save(
        folder / "bundle",
        Bundle(
            name=recipe.name,
            version=VERSION,
            architecture=f"{recipe.architecture}_probe" if probed else recipe.architecture,
            labels=LABELS,
            features=model.features,  # type: ignore[arg-type]
            options=recipe.options,
            training_data=tuple(f"{corpus} ({count} speakers)" for corpus, count in speakers.items()),
        ),
        model,
    )


def _test(saved: Bundle, recipe: Recipe, split: Split, folder: Path, cache: FeatureCache) -> dict[str, Any]:
    """Tests the saved (float16) weights, calibrated on the validation part; returns the metrics.

    Writes the temperature into the bundle, and predictions, figures and tables into `folder`.
    """
    assert saved.path is not None
    _, model = bundles.load(saved.path)
    if isinstance(model, WhisperAdaptive):
        embedder = Embedder(recipe, cache, model=model if recipe.changes_encoder else None)
        validation_embeddings = embedder.embeddings(split.validation)
        embeddings = embedder.embeddings(split.test)
        validation = sessions.by_themselves(model, split.validation, validation_embeddings)
        predictions = sessions.by_themselves(model, split.test, embeddings)
        in_session = sessions.in_sessions(model, validation, validation_embeddings, sessions.every_emotion)
        temperature = (  # of clips that were trained on it would be too low: see benchmarks.left_out
            1.0
            if recipe.train_on_validation
            else evaluate.temperature_of(evaluate.join([validation, in_session]))
        )
    else:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        extract = FeatureExtractor(saved.features)
        validation, predictions = (
            evaluate.predict(model, extract, clips, device, cache) for clips in (split.validation, split.test)
        )
        temperature = evaluate.temperature_of(validation)
    bundles.save(saved.path, replace(saved, temperature=temperature), model.cpu())
    evaluate.write(predictions, folder / "predictions.csv")
    evaluate.write(validation, folder / "validation.csv")
    report.files(predictions, split.test, folder, split.name)
    metrics = {"temperature": round(temperature, 4)} | evaluate.measure(predictions, temperature)
    if isinstance(model, WhisperAdaptive):
        metrics["unfamiliar"] = evaluate.percent(1 - float(model.familiar(embeddings).float().mean()))
        metrics["in_sessions"] = sessions.test(model, predictions, embeddings, folder, temperature)
    return metrics

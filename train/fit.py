"""One training run: fit on a split's training part, choose the epoch by its validation part, report its test.

A run's folder holds `recipe.json`, `split.csv`, `curves.csv`, Lightning's checkpoints (for resuming only),
TensorBoard's curves, and at the end a bundle, `predictions.csv`, pictures, tables, a card (`README.md`) and
`metrics.json`, which comes last: a run that has it is finished.
"""

import csv
import json
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader

from ser_core import bundle as bundles
from ser_core.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.features import FeatureExtractor, FeatureSpec
from ser_core.models.whisper_probe import WhisperProbe
from train import curves, evaluate, report
from train.augment import Augmentation, copies_of
from train.cache import FeatureCache
from train.corpora import classes_of
from train.data import LengthBatches, SpeechDataset
from train.errors import RunError as RunError
from train.module import EmotionModule
from train.probe import add_probe
from train.recipe import Recipe
from train.run_card import run_card
from train.splits import Split, check_leaks

log = logging.getLogger(__name__)
BEST = "best.ckpt"
LAST = "last.ckpt"
# What Lightning warns of and is meant: clips are in memory, runs resume in their folder and may be small.
EXPECTED_REMARKS = (
    "does not have many workers",
    "LeafSpec",
    "Checkpoint directory",
    "number of training batches",
    "no `val_dataloader`",
)
VERSION = "1"  # of the bundles a run leaves


def fit(
    recipe: Recipe,
    split: Split,
    folder: Path,
    device: str = "auto",
    cache: FeatureCache = FeatureCache(),
) -> dict[str, Any]:
    """Trains, or goes on from the last finished epoch in `folder`; returns what `metrics.json` holds.

    The epoch with the lowest validation loss is kept; a split without validation keeps the last one.
    Raises LeakError for a split that leaks, RunError where `folder` holds a run of another recipe or split,
    and what `cache` raises.
    """
    check_leaks(split)
    _describe(recipe, split, folder)
    if (folder / "metrics.json").is_file():
        log.info("%s is finished", folder)
        return dict(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
    L.seed_everything(recipe.seed, verbose=False)
    module = EmotionModule(recipe, len(LABELS))
    if recipe.pretrained:
        module.model.load_pretrained(Path(recipe.pretrained))
    trainer = _trainer(recipe, split, folder, device)
    last = folder / LAST
    with warnings.catch_warnings():
        for remark in EXPECTED_REMARKS:
            warnings.filterwarnings("ignore", message=f".*{remark}")
        trainer.fit(
            module,
            *_loaders(recipe, split, module.spec, cache),
            ckpt_path=str(last) if last.is_file() else None,
        )
    best = folder / (BEST if split.validation else LAST)
    kept = torch.load(best, map_location="cpu", weights_only=True)
    module.load_state_dict(kept["state_dict"])  # the averaged weights, where the recipe averages
    model: nn.Module = module.model
    if recipe.probe_decay:
        model = add_probe(model, recipe, split.train, cache)
    saved = _save_bundle(recipe, split, model, folder)
    metrics: dict[str, Any] = {"run": folder.name, "split": split.name, "epoch": kept["epoch"]}
    if split.speaker_dependent:
        metrics["speaker_dependent"] = True
    if split.test:
        metrics |= _test(saved, split, folder, cache)
    curves.draw(folder, kept["epoch"], f"{recipe.name}, {split.name}")
    (folder / "README.md").write_text(run_card(recipe, split, saved, metrics, folder), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics


def _describe(recipe: Recipe, split: Split, folder: Path) -> None:
    """Writes what is to be done; refuses a folder in which something else was begun."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.json"
    wanted = json.dumps(recipe.to_dict() | {"split": split.name}, indent=2) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != wanted:
        raise RunError(f"{folder} holds a run of another recipe or split: name another --out, or remove it")
    path.write_text(wanted, encoding="utf-8")
    with (folder / "split.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "corpus", "speaker", "file"])
        for part in ("train", "validation", "test"):
            writer.writerows([part, c.corpus, c.speaker, c.file] for c in getattr(split, part))


def _loaders(
    recipe: Recipe, split: Split, spec: FeatureSpec, cache: FeatureCache
) -> tuple[DataLoader[int], DataLoader[int] | None]:
    classes = classes_of([*split.train, *split.validation])

    def loader(part: str) -> DataLoader[int]:
        training = part == "train"
        clips = getattr(split, part)
        augmentation = recipe.augmentation if training else Augmentation()
        copies = copies_of(clips, recipe.share, augmentation, recipe.seed)
        dataset = SpeechDataset(clips, spec, LABELS, classes, cache, augmentation, copies, recipe.seed)
        batches = LengthBatches(dataset, recipe.batch_size, recipe.seed, training, recipe.share)
        return DataLoader(dataset, batch_sampler=batches, collate_fn=dataset.collate)

    return loader("train"), loader("validation") if split.validation else None


def _trainer(recipe: Recipe, split: Split, folder: Path, device: str) -> L.Trainer:
    callbacks: list[L.Callback] = [
        curves.Curves(folder),
        ModelCheckpoint(folder, filename=Path(LAST).stem, enable_version_counter=False, save_top_k=1),
    ]
    if split.validation:
        callbacks.append(
            ModelCheckpoint(
                folder,
                filename=Path(BEST).stem,
                monitor="validation/loss",
                enable_version_counter=False,
            )
        )
        if recipe.patience:
            callbacks.append(EarlyStopping("validation/loss", patience=recipe.patience))
    if recipe.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema_decay))
    return L.Trainer(
        default_root_dir=folder,
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[device],
        devices=1,
        precision="bf16-mixed",
        max_epochs=recipe.epochs,
        gradient_clip_val=1.0,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name=None, version=""),
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


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


def _test(saved: Bundle, split: Split, folder: Path, cache: FeatureCache) -> dict[str, Any]:
    """Predictions of the saved (float16) weights on unseen speakers, calibrated on the validation part."""
    assert saved.path is not None
    _, model = bundles.load(saved.path)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    extract = FeatureExtractor(saved.features)
    validation = evaluate.predict(model, extract, split.validation, device, cache)
    temperature = evaluate.temperature_of(validation)
    bundles.save(saved.path, replace(saved, temperature=temperature), model)
    predictions = evaluate.predict(model, extract, split.test, device, cache)
    evaluate.write(predictions, folder / "predictions.csv")
    evaluate.write(validation, folder / "validation.csv")
    report.files(predictions, split.test, folder, split.name)
    return {"temperature": round(temperature, 4)} | evaluate.measure(predictions, temperature)

"""Training with Lightning: data loaders, trainer, checkpoints, resuming."""

import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from ser_core.emotions import LABELS
from ser_core.models.feature_spec import FeatureSpec
from train.augment import Augmentation, copies_of
from train.corpora import classes_of
from train.corpora.splits import Split
from train.data.cache import FeatureCache
from train.data.dataset import LengthBatches, SpeechDataset
from train.fitting.loss import class_weights
from train.fitting.module import EmotionModule
from train.recipe import Recipe
from train.reports import curves

BEST = "best.ckpt"
LAST = "last.ckpt"
# Lightning's warnings about intended behaviour: clips in memory, runs that resume in a folder, small runs.
EXPECTED_WARNINGS = (
    "does not have many workers",
    "LeafSpec",
    "Checkpoint directory",
    "number of training batches",
    "no `val_dataloader`",
)


def train(
    trainer: L.Trainer, recipe: Recipe, split: Split, folder: Path, cache: FeatureCache
) -> EmotionModule:
    """The module after the run's last epoch; resumes from the last checkpoint in `folder`."""
    L.seed_everything(recipe.seed, verbose=False)
    weights = None
    if recipe.class_weights:
        copies = copies_of(split.train, recipe.share, recipe.augmentation, recipe.seed)
        rows = [split.train[copy.clip] for copy in copies]
        weights = class_weights(rows, LABELS, recipe.class_weights, recipe.share)
    module = EmotionModule(recipe, len(LABELS), weights)
    if recipe.pretrained:
        module.model.load_pretrained(Path(recipe.pretrained))  # type: ignore[operator]
    last = folder / LAST
    batches = loaders(recipe, split, module.spec, cache)
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=f".*{message}")
        trainer.fit(module, *batches, ckpt_path=str(last) if last.is_file() else None)
    return module


class _ResumableEarlyStopping(EarlyStopping):
    """Early stopping that also holds when a stopped run is resumed."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops at once if the patience was exhausted before."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class _MovableCheckpoint(ModelCheckpoint):
    """A checkpoint callback that keeps the best epoch when the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads `state_dict`, with the paths in it replaced by those in this run's folder."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else path

        named = {key: here(state_dict[key]) for key in state_dict if key.endswith("_model_path")}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | named | {"best_k_models": best, "dirpath": self.dirpath})


def trainer_for(
    recipe: Recipe, split: Split, folder: Path, device: str = "auto", devices: int = 1, nodes: int = 1
) -> L.Trainer:
    """Lightning's trainer for the recipe, on `devices` of each of `nodes` machines."""
    callbacks: list[L.Callback] = [curves.Curves(folder)]
    if split.validation and recipe.patience:
        callbacks.append(_ResumableEarlyStopping("validation/loss", patience=recipe.patience))
    if recipe.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema_decay))
    # The last epoch is saved after the best one, so that its record of the best epoch is up to date.
    for name, monitor in [(BEST, "validation/loss")] * bool(split.validation) + [(LAST, None)]:
        callbacks.append(
            _MovableCheckpoint(
                folder,
                filename=Path(name).stem,
                monitor=monitor,
                enable_version_counter=False,
                save_on_train_epoch_end=True,
            )
        )
    return L.Trainer(
        default_root_dir=folder,
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[device],
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision="bf16-mixed" if _has_bfloat16(device) else "32-true",
        max_epochs=recipe.epochs,
        gradient_clip_val=1.0,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name=None, version="", flush_secs=10),
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _has_bfloat16(device: str) -> bool:
    """Whether `device` supports bfloat16 in hardware; float32 is faster than emulation."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def loaders(
    recipe: Recipe, split: Split, spec: FeatureSpec, cache: FeatureCache
) -> tuple[DataLoader[int], DataLoader[int] | None]:
    """Data loaders of the training part and of the validation part; None for an empty validation part."""
    classes = classes_of([*split.train, *split.validation])

    def loader(part: str) -> DataLoader[int]:
        training = part == "train"
        clips = getattr(split, part)
        augmentation = recipe.augmentation if training else Augmentation()
        copies = copies_of(clips, recipe.share, augmentation, recipe.seed)
        dataset = SpeechDataset(clips, spec, LABELS, classes, cache, augmentation, copies, recipe.seed)
        batches = LengthBatches(dataset, recipe.batch_size, recipe.seed, training, recipe.share)
        generator = (
            torch.Generator()
        )  # of the loader's own seed, so that it does not change dropout's numbers
        return DataLoader(dataset, batch_sampler=batches, collate_fn=dataset.collate, generator=generator)

    return loader("train"), loader("validation") if split.validation else None

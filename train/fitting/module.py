"""The Lightning module: architecture, loss, layer-wise learning rates, schedules."""

import sys
from itertools import islice
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.registry import build
from train.augment import mixup, spec_augment
from train.augment.batchwise import augment
from train.data.dataset import Batch, LengthBatches, SpeechDataset
from train.errors import RunError
from train.fitting.batch_norm import estimate_statistics
from train.fitting.loss import MASKED, masked_cross_entropy
from train.processes import broadcast, gather, rank_and_count
from train.recipe import Recipe
from train.reports.evaluate import unweighted_average_recall

STATISTICS_CLIPS = 512  # clips on which batch norm statistics are estimated
STATISTICS_BATCH = 32
WARM_UP = 0.15  # share of a one-cycle schedule
NEVER = sys.maxsize  # epochs


class EmotionModule(L.LightningModule):
    """Trains one architecture as a recipe says."""

    def __init__(self, recipe: Recipe, num_classes: int, weights: Tensor | None = None) -> None:
        """`weights` `(class,)` of the loss. Raises RunError for a recipe unfit for its architecture."""
        super().__init__()
        self.recipe = recipe
        self.model: nn.Module = build(recipe.architecture, num_classes, **recipe.options)
        self.model.to(memory_format=torch.channels_last)  # convolutions train 1.5 times as fast on a CPU
        self.spec: FeatureSpec = self.model.features  # type: ignore[assignment]
        self.validation: list[tuple[Tensor, Tensor, Tensor]] = []
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)
        self._freeze()

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from features `(batch, band, frame)` and lengths in frames."""
        logits: Tensor = self.model(features, lengths)
        return logits

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """The batch's tensors on `device`."""
        return Batch(*(tensor.to(device) for tensor in vars(batch).values()))

    def on_train_epoch_start(self) -> None:
        """Seeds dropout by seed, epoch and rank, so that a resumed run draws the same numbers."""
        rank, _ = rank_and_count()
        torch.manual_seed(hash((self.recipe.seed, self.current_epoch, rank)) % 2**63)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss on an augmented batch; augmentation depends on seed, epoch and batch alone."""
        recipe, options, (rank, count) = self.recipe, self.recipe.augmentation, rank_and_count()
        key = (recipe.seed, self.current_epoch, index * count + rank)
        with torch.autocast(self.device.type, enabled=False):
            generator = torch.Generator().manual_seed(hash(key) % 2**63)
            features, lengths = augment(batch.features, batch.lengths, options, generator)
            if options.spec_augment:
                features = spec_augment.apply(features, lengths, batch.masks)
            mixture = options.mixup and options.mixup.draw(np.random.default_rng(key), len(lengths))
            if mixture:
                features = mixup.apply(features, lengths, mixture)
        logits = self(features, lengths)
        loss = self._loss(logits, batch.targets, batch.allowed)
        if mixture:
            partners, share = mixture["partners"], mixture["share"]
            other = self._loss(logits, batch.targets[partners], batch.allowed[partners])
            loss = share * loss + (1 - share) * other
        size = len(batch.targets)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=size, sync_dist=count > 1)
        return loss

    def _loss(self, logits: Tensor, targets: Tensor, allowed: Tensor) -> Tensor:
        smoothing, gamma = self.recipe.label_smoothing, self.recipe.focal_gamma
        return masked_cross_entropy(logits, targets, allowed, smoothing, self.weights, gamma)

    def estimate_batch_norm(self, dataset: SpeechDataset) -> None:
        """Estimates batch norm statistics on training clips, without dropout."""
        every = LengthBatches(dataset, STATISTICS_BATCH)
        rows = islice(every, 0, None, max(1, len(dataset) // STATISTICS_CLIPS))
        batches = (dataset.collate(indices) for indices in rows)
        estimate_statistics(
            self.model, ((b.features.to(self.device), b.lengths.to(self.device)) for b in batches)
        )

    def on_validation_epoch_start(self) -> None:
        """Validates with the batch norm statistics that would be saved with this epoch."""
        if self.trainer.train_dataloader is not None:
            self.estimate_batch_norm(self.trainer.train_dataloader.dataset)
        broadcast(self.model.buffers())

    def validation_step(self, batch: Batch, index: int) -> None:
        """Stores the logits until the end of the epoch, when metrics are computed."""
        logits = self(batch.features, batch.lengths).float().masked_fill(~batch.allowed, MASKED)
        self.validation.append((logits.cpu(), batch.targets.cpu(), batch.allowed.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Logs plain cross-entropy and unweighted average recall on all validation speakers."""
        batches = [batch for process_batches in gather(self.validation) for batch in process_batches]
        logits, targets, allowed = (torch.cat(parts) for parts in zip(*batches, strict=True))
        self.validation.clear()
        recall = unweighted_average_recall(logits.argmax(-1), targets)
        sync = {"sync_dist": rank_and_count()[1] > 1}  # equal in each process; Lightning needs to be told
        self.log("validation/loss", masked_cross_entropy(logits, targets, allowed), **sync)
        self.log("validation/uar", recall, prog_bar=True, **sync)

    def on_train_epoch_end(self) -> None:
        """Steps a plateau schedule; Lightning would only do so after the epoch's checkpoint is saved."""
        if self.recipe.schedule == "plateau":
            plateau = self.lr_schedulers()
            plateau.step(self.trainer.callback_metrics["validation/loss"])  # type: ignore[union-attr]

    def configure_optimizers(self) -> Any:
        """AdamW with the recipe's rates; the schedule steps per batch (one cycle) or epoch (plateau)."""
        recipe = self.recipe
        groups = self._parameter_groups()
        optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        if recipe.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": plateau, "monitor": "validation/loss", "frequency": NEVER},
            }
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=WARM_UP,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """New layers at the full learning rate; pretrained layers at rates that fall towards the input."""
        recipe = self.recipe
        parts = self._pretrained_parts()
        pretrained = {id(parameter) for part in parts for parameter in part.parameters()}
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        new = [parameter for parameter in trainable if id(parameter) not in pretrained]
        groups = [{"params": new, "lr": recipe.learning_rate}]
        rate = recipe.encoder_learning_rate
        for part in reversed(parts):
            if parameters := [parameter for parameter in part.parameters() if parameter.requires_grad]:
                groups.append({"params": parameters, "lr": rate})
                rate *= recipe.layer_decay
        return groups

    def _freeze(self) -> None:
        """Freezes the recipe's `frozen_layers` and the stem; RunError where there are not that many."""
        parts, frozen = self._pretrained_parts(), self.recipe.frozen_layers
        if frozen >= len(parts) > 0:
            raise RunError(
                f"frozen_layers is {frozen}, {self.recipe.architecture} has {len(parts) - 1} pretrained "
                "layers: freeze fewer"
            )
        for part in parts[: frozen + 1] if frozen else ():
            part.requires_grad_(False)

    def _pretrained_parts(self) -> list[nn.Module]:
        """The stem and the pretrained layers, from input to output; none without pretrained weights."""
        if not self.recipe.pretrained:
            return []
        if not hasattr(self.model, "pretrained_parts"):
            raise RunError(
                f"{self.recipe.architecture} takes no pretrained weights: remove the recipe's key pretrained"
            )
        parts: list[nn.Module] = self.model.pretrained_parts()
        return parts

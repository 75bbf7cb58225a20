"""The Lightning module: class-masked loss, layer-wise learning rates, schedules."""

from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.features import FeatureSpec
from ser_core.models import build
from train.augment import mixup, spec_augment
from train.augment.batchwise import augment
from train.data import Batch
from train.evaluate import unweighted_average_recall
from train.recipe import Recipe

MASKED = -1e4  # logit of a class that a clip's corpus does not have; finite, so that bfloat16 stays finite
WARM_UP = 0.15  # share of a one-cycle schedule


def masked_cross_entropy(logits: Tensor, targets: Tensor, allowed: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy over the classes each row's corpus has; label smoothing spreads over those alone.

    `logits` `(batch, class)`, `targets` `(batch,)`, `allowed` `(batch, class)` bool.
    """
    log_probabilities = logits.float().masked_fill(~allowed, MASKED).log_softmax(-1)
    spread = allowed / allowed.sum(-1, keepdim=True)
    wanted = F.one_hot(targets, logits.shape[-1]) * (1 - smoothing) + spread * smoothing
    return -(wanted * log_probabilities.masked_fill(~allowed, 0.0)).sum(-1).mean()


class EmotionModule(L.LightningModule):
    """Fits one architecture by one recipe."""

    def __init__(self, recipe: Recipe, num_classes: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.model: nn.Module = build(recipe.architecture, num_classes, **recipe.options)
        self.model.to(memory_format=torch.channels_last)  # convolutions train 1.5 times as fast on a CPU
        self.spec: FeatureSpec = self.model.features  # type: ignore[assignment]
        self.validation: list[tuple[Tensor, Tensor, Tensor]] = []
        self._freeze()

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from features `(batch, band, frame)` and lengths in frames."""
        logits: Tensor = self.model(features, lengths)
        return logits

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """The batch's tensors on `device`."""
        return Batch(*(tensor.to(device) for tensor in vars(batch).values()))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss on an augmented batch; augmentation depends on seed, epoch and batch alone."""
        options = self.recipe.augmentation
        key = (self.recipe.seed, self.current_epoch, index)
        with torch.autocast(self.device.type, enabled=False):
            draw = torch.Generator().manual_seed(hash(key) % 2**63)
            features, lengths = augment(batch.features, batch.lengths, options, draw)
            if options.spec_augment:
                features = spec_augment.apply(features, lengths, batch.masks)
            mixed = options.mixup and options.mixup.draw(np.random.default_rng(key), len(lengths))
            if mixed:
                features = mixup.apply(features, lengths, mixed)
        logits = self(features, lengths)
        loss = self._loss(logits, batch.targets, batch.allowed)
        if mixed:
            partners, share = mixed["partners"], mixed["share"]
            other = self._loss(logits, batch.targets[partners], batch.allowed[partners])
            loss = share * loss + (1 - share) * other
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.targets))
        return loss

    def _loss(self, logits: Tensor, targets: Tensor, allowed: Tensor) -> Tensor:
        return masked_cross_entropy(logits, targets, allowed, self.recipe.label_smoothing)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Keeps the logits; they are judged together at the end of the epoch."""
        logits = self(batch.features, batch.lengths).float().masked_fill(~batch.allowed, MASKED)
        self.validation.append((logits.cpu(), batch.targets.cpu(), batch.allowed.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Logs loss and unweighted average recall on the validation speakers."""
        logits, targets, allowed = (torch.cat(parts) for parts in zip(*self.validation, strict=True))
        self.validation.clear()
        loss = masked_cross_entropy(logits, targets, allowed, 0.0)
        self.log("validation/loss", loss)
        self.log("validation/uar", unweighted_average_recall(logits.argmax(-1), targets), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with the recipe's rates; the schedule steps per batch (one cycle) or epoch (plateau)."""
        recipe = self.recipe
        groups = self._parameter_groups()
        optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        if recipe.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": plateau, "monitor": "validation/loss"},
            }
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=WARM_UP,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """The new layers at the full rate; a pretrained encoder lower, and lower still towards its input."""
        recipe = self.recipe
        encoder = getattr(self.model, "encoder", None)
        if not recipe.pretrained or encoder is None:
            return [{"params": list(self.model.parameters()), "lr": recipe.learning_rate}]
        inside = {id(parameter) for parameter in encoder.parameters()}
        new = [parameter for parameter in self.model.parameters() if id(parameter) not in inside]
        groups = [{"params": new, "lr": recipe.learning_rate}]
        rate = recipe.encoder_learning_rate
        groups.append({"params": list(encoder.layer_norm.parameters()), "lr": rate})
        for layer in reversed(encoder.layers[recipe.frozen_layers :]):
            groups.append({"params": list(layer.parameters()), "lr": rate})
            rate *= recipe.layer_decay
        if not recipe.frozen_layers:
            stem = [*encoder.conv1.parameters(), *encoder.conv2.parameters()]
            groups.append({"params": stem, "lr": rate})
        return groups

    def _freeze(self) -> None:
        """Freezes what the recipe keeps as it was; the position table holds sinusoids, nothing to learn."""
        encoder = getattr(self.model, "encoder", None)
        if not self.recipe.pretrained or encoder is None:
            return
        encoder.embed_positions.requires_grad_(False)
        if self.recipe.frozen_layers:
            for part in (encoder.conv1, encoder.conv2, *encoder.layers[: self.recipe.frozen_layers]):
                part.requires_grad_(False)

"""Distillation: trains a small encoder to predict the embeddings of a large one.

The targets are the leading principal components of the teacher's embeddings; labels are not used. A linear
layer from student embeddings to these components is trained too and then discarded (Hinton et al. 2015,
"Distilling the knowledge in a neural network"; Romero et al. 2015, "FitNets"). Clips and copies are those on
which the heads are fitted afterwards.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models.features import pad
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.corpora import Clip
from train.data.cache import FeatureCache
from train.data.dataset import BUCKET_BATCHES
from train.data.embeddings import Embedder
from train.fitting.adaptive import sampling_weights
from train.fitting.progress import restore, save
from train.recipe import Recipe

BATCH_SIZE = 48
PROJECTION_RATE = 1e-3  # learning rate of the linear layer that is discarded
COMPONENTS = 256  # principal ones of the teacher's embeddings
FITTED_ROWS = 6000  # rows on which the components are computed
WARM_UP = 0.1  # share of the one-cycle schedule
LARGEST_GRADIENT = 1.0  # norm, over the encoder
SAVE_STEPS = 100
FLOOR = 1e-3  # keeps deviations above zero
PROGRESS = "distillation.ckpt"
log = logging.getLogger(__name__)


def fit_encoder(recipe: Recipe, clips: Sequence[Clip], folder: Path, cache: FeatureCache) -> WhisperAdaptive:
    """The recipe's model with an encoder distilled from its teacher on `clips`; its heads are random.

    Resumes from the last step saved in `folder`. The result is deterministic. Raises what `cache` raises.
    """
    teacher, embedder = Embedder(teacher_recipe(recipe), cache), Embedder(recipe, cache)
    targets = teacher_components(
        torch.stack([teacher.embeddings(clips, k) for k in range(recipe.sessions + 1)])
    )
    speech, weights = cache.speech(clips), sampling_weights(recipe, clips)
    lengths = np.array([len(sound) for sound in speech])
    steps = recipe.teacher_epochs * -(-len(clips) // BATCH_SIZE)
    student = Student(embedder.model, targets.shape[-1])
    optimizer = torch.optim.AdamW(
        [
            {"params": student.model.encoder.parameters(), "lr": recipe.encoder_learning_rate},
            {"params": student.project.parameters(), "lr": PROJECTION_RATE},
        ],
        weight_decay=recipe.weight_decay,
    )
    rates = [recipe.encoder_learning_rate, PROJECTION_RATE]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=WARM_UP)
    parts = {"learner": student, "optimizer": optimizer, "schedule": schedule}
    for step in range(restore(folder / PROGRESS, parts), steps):
        copies, rows = draw_batch(weights, lengths, len(targets), recipe.seed, step)
        sounds = [
            embedder.augmented_speech(clips[i], speech[i], int(k)) for k, i in zip(copies, rows, strict=True)
        ]
        loss = F.mse_loss(student(*embedder.extract(*pad(sounds))), targets[copies, rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.model.encoder.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        if (step + 1) % SAVE_STEPS == 0 or step + 1 == steps:
            log.info("distillation: step %d of %d, loss %.3f", step + 1, steps, loss.item())
            save(folder / PROGRESS, parts, step + 1)
    student.model.encoder.requires_grad_(False)
    return student.model.eval()


class Student(nn.Module):
    """A small model with a linear layer from its standardised embeddings to the teacher's components."""

    def __init__(self, model: WhisperAdaptive, components: int) -> None:
        super().__init__()
        self.model = model
        self.model.encoder.requires_grad_(True)
        size = len(model.mean)
        self.standardise = nn.BatchNorm1d(size, affine=False)  # as `mean` and `deviation` do later
        self.project = nn.Linear(size, components)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Predicted teacher components `(batch, component)` from features and lengths in frames."""
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = self.model.embed(features, lengths)
        components: Tensor = self.project(self.standardise(embeddings.float()))
        return components


def teacher_recipe(recipe: Recipe) -> Recipe:
    """The recipe of the teacher, with the same copies of clips."""
    return replace(recipe, architecture=recipe.teacher, pretrained=recipe.teacher_pretrained, options={})


def teacher_components(embeddings: Tensor) -> Tensor:
    """Leading principal components `(copy, clip, component)` of `embeddings` `(copy, clip, size)`.

    Each component is divided by the square root of its standard deviation, a compromise between its original
    and unit variance. The standard deviation over all components is 1.
    """
    rows = embeddings.flatten(0, 1)
    mean, deviation = rows.mean(0), rows.std(0) + FLOOR
    sample = np.random.default_rng(0).permutation(len(rows))[:FITTED_ROWS]
    torch.manual_seed(0)
    count = min(COMPONENTS, len(sample), rows.shape[1])
    _, _, directions = torch.svd_lowrank((rows[sample] - mean) / deviation, q=count, niter=3)
    components = torch.stack([((copy - mean) / deviation) @ directions for copy in embeddings])
    components = components / (components.std((0, 1)) + FLOOR).sqrt()
    return components / components.std()


def draw_batch(weights: Tensor, lengths: Any, copies: int, seed: int, step: int) -> tuple[Any, Any]:
    """Indices of copies and clips of a step's batch, `(batch,)` each; depends on seed and step alone.

    Clips are drawn by `weights` `(clip,)`; clips of a batch have similar `lengths` `(clip,)` in samples.
    """
    bucket, position = divmod(step, BUCKET_BATCHES)
    rng = np.random.default_rng([seed, bucket])
    weight_array = weights.double().numpy()
    rows = rng.choice(len(weight_array), BATCH_SIZE * BUCKET_BATCHES, p=weight_array / weight_array.sum())
    rows = rows[np.argsort(lengths[rows], kind="stable")].reshape(BUCKET_BATCHES, BATCH_SIZE)
    copy = rng.integers(0, copies, rows.shape)
    batch = rng.permutation(BUCKET_BATCHES)[position]
    return copy[batch], rows[batch]

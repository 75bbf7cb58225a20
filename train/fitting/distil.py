"""Teaches a small encoder to hear what a large one hears: to give its embedding of the same sound.

No label is used. The large one's embeddings are told by their leading principal components; a linear layer to
them learns along and is left behind (Hinton et al. 2015, "Distilling the knowledge in a neural network";
Romero et al. 2015, "FitNets"). Clips and copies are those on which heads are fitted afterwards.
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
PROJECTION_RATE = 1e-3  # learning rate of the layer that is left behind
COMPONENTS = 256  # principal ones of the teacher's embeddings
FITTED_ROWS = 6000  # that they are found on
WARM_UP = 0.1  # share of the one-cycle schedule
LARGEST_GRADIENT = 1.0  # norm, over the encoder
SAVE_STEPS = 100
FLOOR = 1e-3  # keeps deviations above zero
PROGRESS = "distillation.ckpt"
log = logging.getLogger(__name__)


def fit_encoder(recipe: Recipe, clips: Sequence[Clip], folder: Path, cache: FeatureCache) -> WhisperAdaptive:
    """The recipe's model, its encoder taught on `clips` by the recipe's teacher; its heads are random.

    Goes on from the last step kept in `folder`. The same recipe and clips give the same encoder.
    """
    teacher, student = Embedder(teacher_recipe(recipe), cache), Embedder(recipe, cache)
    wanted = teacher_components(
        torch.stack([teacher.embeddings(clips, k) for k in range(recipe.sessions + 1)])
    )
    speech, share = cache.speech(clips), sampling_weights(recipe, clips)
    lengths = np.array([len(sound) for sound in speech])
    steps = recipe.teacher_epochs * -(-len(clips) // BATCH_SIZE)
    learner = Student(student.model, wanted.shape[-1])
    optimizer = torch.optim.AdamW(
        [
            {"params": learner.model.encoder.parameters(), "lr": recipe.encoder_learning_rate},
            {"params": learner.project.parameters(), "lr": PROJECTION_RATE},
        ],
        weight_decay=recipe.weight_decay,
    )
    rates = [recipe.encoder_learning_rate, PROJECTION_RATE]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=WARM_UP)
    parts = {"learner": learner, "optimizer": optimizer, "schedule": schedule}
    for step in range(restore(folder / PROGRESS, parts), steps):
        copies, rows = draw_batch(share, lengths, len(wanted), recipe.seed, step)
        sounds = [
            student.augmented_speech(clips[i], speech[i], int(k)) for k, i in zip(copies, rows, strict=True)
        ]
        loss = F.mse_loss(learner(*student.extract(*pad(sounds))), wanted[copies, rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.model.encoder.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        if (step + 1) % SAVE_STEPS == 0 or step + 1 == steps:
            log.info("distillation: step %d of %d, loss %.3f", step + 1, steps, loss.item())
            save(folder / PROGRESS, parts, step + 1)
    learner.model.encoder.requires_grad_(False)
    return learner.model.eval()


class Student(nn.Module):
    """A small model with what it learns by: its embeddings, standardised, put in the teacher's terms."""

    def __init__(self, model: WhisperAdaptive, components: int) -> None:
        super().__init__()
        self.model = model
        self.model.encoder.requires_grad_(True)
        size = len(model.mean)
        self.standardise = nn.BatchNorm1d(size, affine=False)  # as `mean` and `deviation` will do
        self.project = nn.Linear(size, components)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The teacher's components `(batch, component)` as heard here."""
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = self.model.embed(features, lengths)
        told: Tensor = self.project(self.standardise(embeddings.float()))
        return told


def teacher_recipe(recipe: Recipe) -> Recipe:
    """The recipe by which the teacher hears the same copies."""
    return replace(recipe, architecture=recipe.teacher, pretrained=recipe.teacher_pretrained, options={})


def teacher_components(embeddings: Tensor) -> Tensor:
    """Leading principal components of `embeddings` `(copy, clip, size)`, `(copy, clip, component)`.

    Each is divided by the root of its deviation: a middle way between counting as much as it varies and all
    counting alike. All together have a deviation of 1.
    """
    rows = embeddings.flatten(0, 1)
    mean, deviation = rows.mean(0), rows.std(0) + FLOOR
    chosen = np.random.default_rng(0).permutation(len(rows))[:FITTED_ROWS]
    torch.manual_seed(0)
    count = min(COMPONENTS, len(chosen), rows.shape[1])
    _, _, directions = torch.svd_lowrank((rows[chosen] - mean) / deviation, q=count, niter=3)
    told = torch.stack([((copy - mean) / deviation) @ directions for copy in embeddings])
    told = told / (told.std((0, 1)) + FLOOR).sqrt()
    return told / told.std()


def draw_batch(share: Tensor, lengths: Any, copies: int, seed: int, step: int) -> tuple[Any, Any]:
    """Copies and clips of a step's batch, `(batch,)` each, of similar length; of seed and step alone.

    Clips come as often as `share` `(clip,)` says.
    """
    bucket, place = divmod(step, BUCKET_BATCHES)
    rng = np.random.default_rng([seed, bucket])
    chances = share.double().numpy()
    rows = rng.choice(len(chances), BATCH_SIZE * BUCKET_BATCHES, p=chances / chances.sum())
    rows = rows[np.argsort(lengths[rows], kind="stable")].reshape(BUCKET_BATCHES, BATCH_SIZE)
    copy = rng.integers(0, copies, rows.shape)
    chosen = rng.permutation(BUCKET_BATCHES)[place]
    return copy[chosen], rows[chosen]

"""Fine-tunes the upper layers of a session-adaptive encoder together with its heads.

The heads are fitted on the published encoder first, so that fine-tuning changes its features less and they
still generalise to other voices (Kumar et al. 2022, "Fine-tuning can distort pretrained features and
underperform out-of-distribution"). A batch holds CLIPS clips of each of SPEAKERS speakers in virtual
sessions; the session mean is the mean of these clips. Time steps are masked at random, and weights are
averaged over the steps.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ser_core.emotions import LABELS
from ser_core.models.blocks import mean_and_deviation
from ser_core.models.features import frame_mask
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.corpora import Clip
from train.data.embeddings import Embedder
from train.errors import RunError
from train.fitting.adaptive import fit_limit, sampling_weights
from train.fitting.progress import restore, save
from train.recipe import Recipe

SPEAKERS, CLIPS = 8, 8  # of a batch: speakers, and clips of each
MASKS, MASKED = 2, 0.15  # number of time masks per clip, and largest share of the clip that each covers
HEADS_RATE = 5e-4  # learning rate of the heads
WARM_UP = 0.1  # share of the one-cycle schedule
LARGEST_GRADIENT = 1.0  # norm, over everything that is tuned
LIMIT_COPIES = 2  # of each clip, for the limit of the out-of-distribution test
BATCH_SIZE = 32  # clips whose embeddings are computed at once
SAVE_STEPS = 100
PROGRESS = "tuning.ckpt"
log = logging.getLogger(__name__)


def tune(
    model: WhisperAdaptive, recipe: Recipe, clips: Sequence[Clip], embedder: Embedder, folder: Path
) -> WhisperAdaptive:
    """`model`, whose heads were fitted on `clips`, fine-tuned above the recipe's `frozen_layers`.

    `embedder` has the published encoder. Resumes from the last step saved in `folder`; the result is
    deterministic. Raises RunError where `frozen_layers` includes layers above the lowest one that heads read.
    """
    lowest, most = recipe.frozen_layers, len(model.encoder.layers) + 1 - model.read_layers
    if lowest > most:
        raise RunError(f"frozen_layers is {lowest}, the layers above {most} are all read: freeze fewer")
    layers, heads = model.encoder.layers[lowest:], nn.ModuleList([model.alone, model.relative])
    trained = nn.ModuleList([layers, heads]).requires_grad_(True)
    average = AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
    rates = [recipe.encoder_learning_rate * recipe.layer_decay**below for below in range(len(layers))][::-1]
    groups = [{"params": layer.parameters()} for layer in layers] + [{"params": heads.parameters()}]
    steps = recipe.encoder_epochs * -(-len(clips) // (SPEAKERS * CLIPS))
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [*rates, HEADS_RATE], total_steps=steps, pct_start=WARM_UP
    )
    parts = {"learner": trained, "average": average, "optimizer": optimizer, "schedule": schedule}
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    names = np.array([f"{clip.corpus}/{clip.speaker}" for clip in clips])
    weights = sampling_weights(recipe, clips).double().numpy()
    for step in range(restore(folder / PROGRESS, parts), steps):
        torch.manual_seed(recipe.seed + step)  # for dropout and masks, also in a resumed run
        heads.train()
        copies, rows = draw_batch(
            names, weights, recipe.sessions + 1, np.random.default_rng([recipe.seed, step])
        )
        optimizer.zero_grad()
        total = 0.0
        for copy, session in zip(copies.tolist(), rows, strict=True):  # one by one: less padding
            states = [
                mask_steps(state) for state in embedder.states([clips[i] for i in session], copy, lowest)
            ]
            loss = _loss(model, lowest, states, targets[session], recipe) / SPEAKERS
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(trained.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        average.update_parameters(trained)
        if (step + 1) % SAVE_STEPS == 0 or step + 1 == steps:
            log.info("tuning: step %d of %d, loss %.3f", step + 1, steps, total)
            save(folder / PROGRESS, parts, step + 1)
    trained.load_state_dict(average.module.state_dict())
    model.requires_grad_(False).eval()
    fit_limit(model, _embeddings(model, clips, embedder, lowest))
    return model


def draw_batch(
    names: NDArray[np.str_], weights: NDArray[np.float64], copies: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of copies `(SPEAKERS,)` and clips `(SPEAKERS, CLIPS)`; a row is one speaker's session.

    Speakers and clips are drawn by `weights` `(clip,)`; `names` `(clip,)` are speaker names.
    """
    speakers, speaker_of = np.unique(names, return_inverse=True)
    probabilities = np.bincount(speaker_of, weights) / weights.sum()
    rows = []
    for speaker in rng.choice(len(speakers), SPEAKERS, p=probabilities):
        indices = np.flatnonzero(speaker_of == speaker)
        shares = weights[indices] / weights[indices].sum()
        rows.append(rng.choice(indices, CLIPS, replace=len(indices) < CLIPS, p=shares))
    return rng.integers(0, copies, SPEAKERS), np.stack(rows)


def mask_steps(state: Tensor) -> Tensor:
    """`state` `(step, width)` with random time steps set to zero, like SpecAugment's time masks."""
    masked = state.clone()
    for width, position in torch.rand(MASKS, 2).tolist():
        length = int(width * MASKED * len(state))
        start = int(position * (len(state) - length + 1))
        masked[start : start + length] = 0
    return masked


def _loss(
    model: WhisperAdaptive, lowest: int, states: list[Tensor], targets: Tensor, recipe: Recipe
) -> Tensor:
    """Sum of the losses of both heads on a session's clips: by themselves, and relative to their mean."""
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = _embed(model, lowest, states)
        outputs = model.read_alone(embeddings), model.read_against(embeddings, embeddings.mean(0))
    losses = [
        F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing) for logits in outputs
    ]
    return torch.stack(losses).sum()


def _embeddings(model: WhisperAdaptive, clips: Sequence[Clip], embedder: Embedder, lowest: int) -> Tensor:
    """Embeddings `(row, size)` of clips and their first virtual sessions by the fine-tuned model."""
    embeddings = []
    for copy in range(LIMIT_COPIES):
        for start in range(0, len(clips), BATCH_SIZE):
            states = embedder.states(clips[start : start + BATCH_SIZE], copy, lowest)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                embeddings.append(_embed(model, lowest, states))
    return torch.cat(embeddings)


def _embed(model: WhisperAdaptive, lowest: int, states: list[Tensor]) -> Tensor:
    """Embeddings `(clip, size)` as of `model.embed`, from the input `states` of the fine-tuned layers."""
    steps = torch.tensor([len(state) for state in states])
    x = nn.utils.rnn.pad_sequence([state.float() for state in states], batch_first=True)
    valid = frame_mask(steps, x.shape[1])
    outputs = [x]
    for layer in model.encoder.layers[lowest:]:
        outputs.append(layer(outputs[-1], valid))
    pooled = [mean_and_deviation(state.float(), valid) for state in outputs[-model.read_layers :]]
    return torch.cat(pooled, dim=-1)

"""Tunes the upper layers of a session-adaptive encoder, together with the heads that read it.

The heads were fitted before, on the encoder as it was published, and therefore ask little of it: what it
knows of voices that no corpus here has is kept (Kumar et al. 2022, "Fine-tuning can distort pretrained
features and underperform out-of-distribution"). A batch holds some clips each of some speakers in virtual
sessions; their mean is the session's. Stretches of clips are masked, and weights are averaged over the steps.
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

SPEAKERS, CLIPS = 8, 8  # clips each of speakers that make a batch
MASKS, MASKED = 2, 0.15  # stretches of a clip without sound, and how much of it each may take
HEADS_RATE = 5e-4  # learning rate of the heads
WARM_UP = 0.1  # share of the one-cycle schedule
LARGEST_GRADIENT = 1.0  # norm, over everything that is tuned
LIMIT_COPIES = 2  # of each clip that say how far speech lies out
BATCH_SIZE = 32  # clips whose embeddings are computed at once
SAVE_STEPS = 100
PROGRESS = "tuning.ckpt"
log = logging.getLogger(__name__)


def tune(
    model: WhisperAdaptive, recipe: Recipe, clips: Sequence[Clip], embedder: Embedder, folder: Path
) -> WhisperAdaptive:
    """`model`, with heads that were fitted on `clips`, tuned above the recipe's `frozen_layers`.

    `embedder` hears with the published encoder. Goes on from the last step kept in `folder`; the same recipe
    and clips give the same model. Raises RunError where a layer would be frozen above one that is read.
    """
    lowest, most = recipe.frozen_layers, len(model.encoder.layers) + 1 - model.read_layers
    if lowest > most:
        raise RunError(f"frozen_layers is {lowest}, the layers above {most} are all read: freeze fewer")
    layers, heads = model.encoder.layers[lowest:], nn.ModuleList([model.alone, model.relative])
    learner = nn.ModuleList([layers, heads]).requires_grad_(True)
    average = AveragedModel(learner, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
    rates = [recipe.encoder_learning_rate * recipe.layer_decay**below for below in range(len(layers))][::-1]
    groups = [{"params": layer.parameters()} for layer in layers] + [{"params": heads.parameters()}]
    steps = recipe.encoder_epochs * -(-len(clips) // (SPEAKERS * CLIPS))
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [*rates, HEADS_RATE], total_steps=steps, pct_start=WARM_UP
    )
    parts = {"learner": learner, "average": average, "optimizer": optimizer, "schedule": schedule}
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    names = np.array([f"{clip.corpus}/{clip.speaker}" for clip in clips])
    share = sampling_weights(recipe, clips).double().numpy()
    for step in range(restore(folder / PROGRESS, parts), steps):
        torch.manual_seed(recipe.seed + step)  # of dropout and masks, also where a run goes on
        heads.train()
        copies, rows = draw_batch(
            names, share, recipe.sessions + 1, np.random.default_rng([recipe.seed, step])
        )
        optimizer.zero_grad()
        total = 0.0
        for copy, session in zip(copies.tolist(), rows, strict=True):  # one by one: their lengths differ less
            states = [
                mask_steps(state) for state in embedder.states([clips[i] for i in session], copy, lowest)
            ]
            loss = _loss(model, lowest, states, targets[session], recipe) / SPEAKERS
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(learner.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        average.update_parameters(learner)
        if (step + 1) % SAVE_STEPS == 0 or step + 1 == steps:
            log.info("tuning: step %d of %d, loss %.3f", step + 1, steps, total)
            save(folder / PROGRESS, parts, step + 1)
    learner.load_state_dict(average.module.state_dict())
    model.requires_grad_(False).eval()
    fit_limit(model, _embeddings(model, clips, embedder, lowest))
    return model


def draw_batch(
    names: NDArray[np.str_], share: NDArray[np.float64], copies: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Copies `(SPEAKERS,)` and clips `(SPEAKERS, CLIPS)` of a batch; a row is one speaker's session.

    Speakers and clips come as often as `share` `(clip,)` says; `names` `(clip,)` tells the speakers.
    """
    speakers, of_clip = np.unique(names, return_inverse=True)
    chances = np.bincount(of_clip, share) / share.sum()
    rows = []
    for speaker in rng.choice(len(speakers), SPEAKERS, p=chances):
        own = np.flatnonzero(of_clip == speaker)
        rows.append(rng.choice(own, CLIPS, replace=len(own) < CLIPS, p=share[own] / share[own].sum()))
    return rng.integers(0, copies, SPEAKERS), np.stack(rows)


def mask_steps(state: Tensor) -> Tensor:
    """`state` `(step, width)` with stretches of nothing, as the time masks of SpecAugment."""
    changed = state.clone()
    for width, place in torch.rand(MASKS, 2).tolist():
        length = int(width * MASKED * len(state))
        start = int(place * (len(state) - length + 1))
        changed[start : start + length] = 0
    return changed


def _loss(
    model: WhisperAdaptive, lowest: int, states: list[Tensor], targets: Tensor, recipe: Recipe
) -> Tensor:
    """Of both heads for a session's clips: by themselves, and against their mean."""
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = _embed(model, lowest, states)
        answers = model.read_alone(embeddings), model.read_against(embeddings, embeddings.mean(0))
    losses = [
        F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing) for logits in answers
    ]
    return torch.stack(losses).sum()


def _embeddings(model: WhisperAdaptive, clips: Sequence[Clip], embedder: Embedder, lowest: int) -> Tensor:
    """Embeddings `(row, size)` of clips and their first virtual sessions, as the tuned model hears them."""
    found = []
    for copy in range(LIMIT_COPIES):
        for start in range(0, len(clips), BATCH_SIZE):
            states = embedder.states(clips[start : start + BATCH_SIZE], copy, lowest)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                found.append(_embed(model, lowest, states))
    return torch.cat(found)


def _embed(model: WhisperAdaptive, lowest: int, states: list[Tensor]) -> Tensor:
    """`model.embed`, `(clip, size)`, from what goes into the tuned layers."""
    steps = torch.tensor([len(state) for state in states])
    x = nn.utils.rnn.pad_sequence([state.float() for state in states], batch_first=True)
    valid = frame_mask(steps, x.shape[1])
    heard = [x]
    for layer in model.encoder.layers[lowest:]:
        heard.append(layer(heard[-1], valid))
    pooled = [mean_and_deviation(state.float(), valid) for state in heard[-model.read_layers :]]
    return torch.cat(pooled, dim=-1)

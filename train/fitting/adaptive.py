"""Fits the heads of a session-adaptive model on embeddings of clips and of virtual sessions."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.corpora import Clip
from train.data.embeddings import Embedder
from train.recipe import Recipe

# Clips of a speaker that the session's mean is taken over, in turn by copy; None: all of them.
SESSION_CLIPS = (None, None, 8, 12, 20, 40)
MEMBERS = 2  # networks of half the hidden cells that make a head: their mean is steadier than one
WARM_UP = 0.1  # share of the one-cycle schedule
ROUNDS = 4  # of alternating between class offsets and speaker means; they hardly change after the second
FAMILIAR_SHARE = 0.99  # of the training clips that count as speech
FLOOR = 1e-3  # keeps deviations above zero


def fit_heads(recipe: Recipe, clips: Sequence[Clip], embedder: Embedder) -> WhisperAdaptive:
    """The embedder's model, its heads fitted on `clips` and on virtual sessions of their speakers.

    Every class counts as wrong for every clip of another one, also where the clip's corpus lacks that class.
    The same recipe and clips give the same heads.
    """
    model = embedder.model.cpu()
    copies = torch.stack([embedder.embeddings(clips, copy) for copy in range(recipe.sessions + 1)])
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    names = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
    speakers = torch.from_numpy(np.unique(names, return_inverse=True)[1])
    share = sampling_weights(recipe, clips)
    means = torch.stack(
        [
            session_means(rows, speakers, SESSION_CLIPS[copy % len(SESSION_CLIPS)], recipe.seed + copy)
            for copy, rows in enumerate(copies)
        ]
    )  # (copy, speaker, size)
    model.mean.copy_(copies.mean((0, 1)))
    model.deviation.copy_(copies.std((0, 1)) + FLOOR)
    model.spread.copy_((copies[0] - means[0][speakers]).std(0) + FLOOR)
    model.class_offsets.copy_(class_offsets(copies[0], targets, speakers))
    fit_limit(model, copies.flatten(0, 1))

    def alone(copy: Tensor, clip: Tensor) -> Tensor:
        return (copies[copy, clip] - model.mean) / model.deviation

    def against(copy: Tensor, clip: Tensor) -> Tensor:
        return (copies[copy, clip] - means[copy, speakers[clip]]) / model.spread

    for head, inputs in ((model.alone, alone), (model.relative, against)):
        members = [_ensemble_member(head) for _ in range(MEMBERS)]
        for number, member in enumerate(members):
            _fit(member, inputs, recipe, len(copies), targets, share, recipe.seed + number)
        _join(head, members)
    return model.eval()


def sampling_weights(recipe: Recipe, clips: Sequence[Clip]) -> Tensor:
    """How often each of `clips` is drawn, beside the others: by its corpus and how rare its class is."""
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    share = torch.tensor([recipe.share.get(clip.corpus, 1.0) for clip in clips])
    of_class = torch.zeros(len(LABELS)).index_add_(0, targets, share)
    return share * (of_class.mean() / of_class[targets]) ** recipe.class_weights


def fit_limit(model: WhisperAdaptive, rows: Tensor) -> None:
    """Teaches `model`, whose mean and deviation are set, how far the clips `rows` `(clip, size)` lie out."""
    torch.manual_seed(0)
    standard = (rows - model.mean) / model.deviation
    every = len(model.directions)
    count = min(every, len(rows))  # a handful of clips spans fewer
    _, scale, directions = torch.svd_lowrank(standard, q=count, niter=3)
    model.directions[:count] = (directions * ((len(rows) * every / count) ** 0.5 / scale.clamp(min=FLOOR))).T
    model.limit.fill_(float(np.quantile(model.distances(rows).numpy(), FAMILIAR_SHARE)))


def _ensemble_member(head: nn.Sequential) -> nn.Sequential:
    """A head with a share of the hidden cells of `head`, with random weights."""
    first, last = head[1], head[-1]
    hidden = first.out_features // MEMBERS
    return nn.Sequential(
        nn.Dropout(head[0].p),
        nn.Linear(first.in_features, hidden),
        nn.GELU(),
        nn.Dropout(head[3].p),
        nn.Linear(hidden, last.out_features),
    )


def _join(head: nn.Sequential, members: Sequence[nn.Sequential]) -> None:
    """Makes `head` the mean of `members`: their hidden cells side by side."""
    with torch.no_grad():
        head[1].weight.copy_(torch.cat([member[1].weight for member in members]))
        head[1].bias.copy_(torch.cat([member[1].bias for member in members]))
        head[-1].weight.copy_(torch.cat([member[-1].weight for member in members], dim=1) / len(members))
        head[-1].bias.copy_(torch.stack([member[-1].bias for member in members]).mean(0))


def session_means(rows: Tensor, speakers: Tensor, clips: int | None, seed: int) -> Tensor:
    """The mean of `rows` `(clip, size)` over some random `clips` of each speaker, `(speaker, size)`."""
    rng = np.random.default_rng(seed)
    means = torch.zeros(int(speakers.max()) + 1, rows.shape[1])
    for speaker, mean in enumerate(means):
        own = np.flatnonzero(speakers.numpy() == speaker)
        mean += rows[own if clips is None else rng.permutation(own)[:clips]].mean(0)
    return means


def class_offsets(rows: Tensor, targets: Tensor, speakers: Tensor) -> Tensor:
    """How far each class lies from its speakers' even mixture of all classes, `(class, size)`.

    Least squares for rows = speaker + class, by alternating; a speaker need not have every class. A class
    without clips lies at the mixture.
    """
    offsets = torch.zeros(len(LABELS), rows.shape[1])
    present = [label for label in range(len(LABELS)) if (targets == label).any()]
    for _ in range(ROUNDS):
        means = session_means(rows - offsets[targets], speakers, None, 0)
        for label in present:
            own = targets == label
            offsets[label] = (rows[own] - means[speakers[own]]).mean(0)
        offsets[present] -= offsets[present].mean(0)
    return offsets


def _fit(
    head: nn.Sequential,
    inputs: Callable[[Tensor, Tensor], Tensor],
    recipe: Recipe,
    copies: int,
    targets: Tensor,
    share: Tensor,
    seed: int,
) -> None:
    """AdamW over random copies of random clips, drawn as often as `share` says; `inputs` of the head."""
    torch.manual_seed(seed)
    for layer in (head[1], head[-1]):
        layer.reset_parameters()
    steps = recipe.epochs * -(-len(targets) // recipe.batch_size)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=WARM_UP
    )
    head.train()
    for _ in range(steps):
        clip = torch.multinomial(share, recipe.batch_size, replacement=True)
        copy = torch.randint(copies, clip.shape)
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(inputs(copy, clip))
        loss = F.cross_entropy(logits.float(), targets[clip], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

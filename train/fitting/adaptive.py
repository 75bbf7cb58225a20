"""Fits the heads of a session-adaptive model on embeddings of clips and of their augmented copies."""

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

# Number of a speaker's clips in the session mean, in turn by copy; None: all clips.
SESSION_CLIPS = (None, None, 8, 12, 20, 40)
MEMBERS = 2  # networks of half the hidden cells that are averaged into a head: less variance than one network
WARM_UP = 0.1  # share of the one-cycle schedule
ROUNDS = 4  # iterations over class offsets and speaker means; they converge after about two
FAMILIAR_SHARE = 0.99  # of the training clips that count as speech
FLOOR = 1e-3  # keeps deviations above zero


def fit_heads(recipe: Recipe, clips: Sequence[Clip], embedder: Embedder) -> WhisperAdaptive:
    """The embedder's model with heads fitted on `clips` and on virtual sessions of their speakers.

    The loss covers all classes, also those that the corpus of a clip lacks. The result is deterministic.
    """
    model = embedder.model.cpu()
    copies = torch.stack([embedder.embeddings(clips, copy) for copy in range(recipe.sessions + 1)])
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    names = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
    speakers = torch.from_numpy(np.unique(names, return_inverse=True)[1])
    weights = sampling_weights(recipe, clips)
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

    def alone_input(copy: Tensor, clip: Tensor) -> Tensor:
        return (copies[copy, clip] - model.mean) / model.deviation

    def relative_input(copy: Tensor, clip: Tensor) -> Tensor:
        return (copies[copy, clip] - means[copy, speakers[clip]]) / model.spread

    for head, inputs in ((model.alone, alone_input), (model.relative, relative_input)):
        members = [_ensemble_member(head) for _ in range(MEMBERS)]
        for number, member in enumerate(members):
            _fit(member, inputs, recipe, len(copies), targets, weights, recipe.seed + number)
        _join(head, members)
    return model.eval()


def sampling_weights(recipe: Recipe, clips: Sequence[Clip]) -> Tensor:
    """Sampling weights `(clip,)`, by the recipe's share of the corpus and the rarity of the class."""
    targets = torch.tensor([LABELS.index(clip.emotion) for clip in clips])
    weights = torch.tensor([recipe.share.get(clip.corpus, 1.0) for clip in clips])
    class_sums = torch.zeros(len(LABELS)).index_add_(0, targets, weights)
    return weights * (class_sums.mean() / class_sums[targets]) ** recipe.class_weights


def fit_limit(model: WhisperAdaptive, rows: Tensor) -> None:
    """Sets `directions` and `limit`, the out-of-distribution test of `model`, in place.

    `rows` `(clip, size)` are embeddings of the training clips. `mean` and `deviation` must be set before.
    """
    torch.manual_seed(0)
    standardised = (rows - model.mean) / model.deviation
    n_directions = len(model.directions)
    count = min(n_directions, len(rows))  # few clips span fewer directions
    _, scale, directions = torch.svd_lowrank(standardised, q=count, niter=3)
    model.directions[:count] = (
        directions * ((len(rows) * n_directions / count) ** 0.5 / scale.clamp(min=FLOOR))
    ).T
    model.limit.fill_(float(np.quantile(model.distances(rows).numpy(), FAMILIAR_SHARE)))


def _ensemble_member(head: nn.Sequential) -> nn.Sequential:
    """A head with 1 / MEMBERS of the hidden cells of `head`, with random weights."""
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
    """Sets `head` to the mean of `members` by concatenating their hidden cells."""
    with torch.no_grad():
        head[1].weight.copy_(torch.cat([member[1].weight for member in members]))
        head[1].bias.copy_(torch.cat([member[1].bias for member in members]))
        head[-1].weight.copy_(torch.cat([member[-1].weight for member in members], dim=1) / len(members))
        head[-1].bias.copy_(torch.stack([member[-1].bias for member in members]).mean(0))


def session_means(rows: Tensor, speakers: Tensor, clips: int | None, seed: int) -> Tensor:
    """Means `(speaker, size)` of `rows` `(clip, size)` over `clips` random clips of each speaker.

    `speakers` `(clip,)` are speaker indices. With `clips` None, all clips are used.
    """
    rng = np.random.default_rng(seed)
    means = torch.zeros(int(speakers.max()) + 1, rows.shape[1])
    for speaker, mean in enumerate(means):
        indices = np.flatnonzero(speakers.numpy() == speaker)
        mean += rows[indices if clips is None else rng.permutation(indices)[:clips]].mean(0)
    return means


def class_offsets(rows: Tensor, targets: Tensor, speakers: Tensor) -> Tensor:
    """Offset of each class from the mean over all classes of a speaker, `(class, size)`.

    Alternating least squares for rows = speaker + class; speakers may lack classes. A class without clips has
    offset 0.
    """
    offsets = torch.zeros(len(LABELS), rows.shape[1])
    present = [label for label in range(len(LABELS)) if (targets == label).any()]
    for _ in range(ROUNDS):
        means = session_means(rows - offsets[targets], speakers, None, 0)
        for label in present:
            rows_of_class = targets == label
            offsets[label] = (rows[rows_of_class] - means[speakers[rows_of_class]]).mean(0)
        offsets[present] -= offsets[present].mean(0)
    return offsets


def _fit(
    head: nn.Sequential,
    inputs: Callable[[Tensor, Tensor], Tensor],
    recipe: Recipe,
    copies: int,
    targets: Tensor,
    weights: Tensor,
    seed: int,
) -> None:
    """Fits `head` in place by AdamW on random clips, drawn by `weights`, in random copies.

    `inputs(copy, clip)` returns the head's inputs `(batch, size)` for indices `(batch,)`.
    """
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
        clip = torch.multinomial(weights, recipe.batch_size, replacement=True)
        copy = torch.randint(copies, clip.shape)
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(inputs(copy, clip))
        loss = F.cross_entropy(logits.float(), targets[clip], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

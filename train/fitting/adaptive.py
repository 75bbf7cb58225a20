"""Fits the heads of a session-adaptive model on embeddings of clips and of their augmented copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.corpora import Clip
from train.data.embeddings import Embedder
from train.fitting import joint
from train.recipe import Recipe

# Number of a speaker's clips in the session mean, in turn by copy; None: all clips.
SESSION_CLIPS = (None, None, 8, 12, 20, 40)
WARM_UP = 0.1  # share of the one-cycle schedule
ROUNDS = 4  # iterations over class offsets and speaker means; they converge after about two
FAMILIAR_SHARE = 0.998  # of the training clips that count as speech
FLOOR = 1e-3  # keeps deviations above zero


def fit_heads(recipe: Recipe, clips: Sequence[Clip], embedder: Embedder) -> WhisperAdaptive:
    """The embedder's model with heads fitted on `clips` and on virtual sessions of their speakers.

    The loss covers all classes, also those that the corpus of a clip lacks. The result is deterministic.
    Raises RunError where the recipe asks for a joint model that these clips cannot fit.
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
    if model.joint is not None:
        of_speakers, of_corpora = [clip.speaker for clip in clips], [clip.corpus for clip in clips]
        joint.fit(model.joint, copies[0], targets, of_speakers, of_corpora)

    alone = (copies - model.mean) / model.deviation
    against = torch.stack([rows - mean[speakers] for rows, mean in zip(copies, means, strict=True)])
    against /= model.spread
    del copies
    for head, rows, other_voices in (
        (model.alone, alone, recipe.other_voices),
        (model.relative, against, 0.0),
    ):
        directions = principal_directions(rows, model.branch_sizes, recipe.directions)
        clips_read = Clips(rows @ directions, targets, speakers, weights)
        members = [_member(head, directions.shape[1], recipe.members) for _ in range(recipe.members)]
        for number, member in enumerate(members):
            _fit(member, clips_read, recipe, other_voices, recipe.seed + number)
        _join(head, members, directions)
    return model.eval()


@dataclass(frozen=True)
class Clips:
    """What a head is fitted on."""

    rows: Tensor  # (copy, clip, direction)
    targets: Tensor  # (clip,) index into LABELS
    speakers: Tensor  # (clip,) index
    weights: Tensor  # (clip,) how often a clip is drawn


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


def principal_directions(rows: Tensor, branch_sizes: Sequence[int], most: int) -> Tensor:
    """The leading principal directions of each branch of embeddings, `(size, direction)`.

    `rows` `(copy, clip, size)` are standardised; branches stand behind each other, with so many numbers each.
    At most `most` directions a branch, 0: all. Few clips of many voices tell emotions in them alone, while
    a head that reads every number learns voices.
    """
    blocks = []
    for branch in rows.split(list(branch_sizes), dim=-1):
        products = sum(copy.T @ copy for copy in branch)
        assert isinstance(products, Tensor)
        directions = torch.linalg.eigh(products.double())[1].flip(1).float()
        blocks.append(directions[:, : most or None])
    return torch.block_diag(*blocks)


def _member(head: nn.Sequential, size: int, members: int) -> nn.Sequential:
    """A random network for inputs of `size`; `members` of them have as many hidden cells as `head`."""
    first, last = head[1], head[-1]
    hidden = first.out_features // members
    return nn.Sequential(
        nn.Dropout(head[0].p),
        nn.Linear(size, hidden),
        nn.GELU(),
        nn.Dropout(head[3].p),
        nn.Linear(hidden, last.out_features),
    )


def _join(head: nn.Sequential, members: Sequence[nn.Sequential], directions: Tensor) -> None:
    """Sets `head` to the mean of `members`, which read `directions` `(size, direction)` of its input."""
    with torch.no_grad():
        head[1].weight.copy_(torch.cat([member[1].weight for member in members]) @ directions.T)
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


def _fit(head: nn.Sequential, clips: Clips, recipe: Recipe, other_voices: float, seed: int) -> None:
    """Fits `head` in place by AdamW on clips drawn by their weights, in random copies.

    A share `other_voices` of them is moved, by a random part of the way, from the mean of its own voice to
    that of another one: the head learns what does not hang on the voice.
    """
    torch.manual_seed(seed)
    for layer in (head[1], head[-1]):
        layer.reset_parameters()
    steps = recipe.epochs * -(-len(clips.targets) // recipe.batch_size)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=WARM_UP
    )
    voices = torch.stack([session_means(rows, clips.speakers, None, 0) for rows in clips.rows])

    def draw() -> tuple[Tensor, Tensor]:
        """Indices of copies and clips, `(batch,)` each."""
        drawn = torch.multinomial(clips.weights, recipe.batch_size, replacement=True)
        return torch.randint(len(clips.rows), drawn.shape), drawn

    head.train()
    for _ in range(steps):
        copy, clip = draw()
        inputs = clips.rows[copy, clip]
        if other_voices:
            other_copy, other = draw()
            way = torch.rand(len(clip), 1) * (torch.rand(len(clip), 1) < other_voices)
            own_voice, voice = clips.speakers[clip], clips.speakers[other]
            inputs = inputs + way * (voices[other_copy, voice] - voices[copy, own_voice])
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(inputs)
        loss = F.cross_entropy(logits.float(), clips.targets[clip], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

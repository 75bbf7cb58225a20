"""The training loss: cross-entropy over the classes a corpus has, weighted and focused as a recipe says."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from train.corpora import Clip, classes_of

MASKED = -1e4  # logit of a class that the clip's corpus lacks; finite, so that bfloat16 stays finite
SMALLEST = 1e-6  # lower bound of the base of the focal loss's power, whose gradient is infinite at 0


def masked_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    allowed: Tensor,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
    gamma: float = 0.0,
) -> Tensor:
    """Mean cross-entropy over the classes of each row's corpus; label smoothing covers those alone.

    `logits` `(batch, class)`, `targets` `(batch,)`, `allowed` `(batch, class)` bool. `weights` `(class,)`:
    weights of the classes in the mean. `gamma`, from 0 (none) to 5: the focal loss of Lin et al. (2017),
    "Focal loss for dense object detection", which multiplies a row by (1 - p)^gamma, where p is the
    probability of its target, so that confident rows count less.
    """
    log_probabilities = logits.float().masked_fill(~allowed, MASKED).log_softmax(-1)
    spread = allowed / allowed.sum(-1, keepdim=True)
    target_probabilities = F.one_hot(targets, logits.shape[-1]) * (1 - smoothing) + spread * smoothing
    losses = -(target_probabilities * log_probabilities.masked_fill(~allowed, 0.0)).sum(-1)
    if gamma:
        error = -log_probabilities.gather(1, targets[:, None])[:, 0].expm1()
        losses = losses * error.clamp(min=SMALLEST) ** gamma
    if weights is None:
        return losses.mean()
    row_weights = weights[targets]
    return (losses * row_weights).sum() / row_weights.sum()


def class_weights(
    clips: Sequence[Clip], labels: Sequence[str], power: float, share: Mapping[str, float]
) -> Tensor:
    """Weights of `labels` `(class,)`, higher for rare classes; 0 for a class without `clips`.

    A weight is (expected / count)^`power`, with `power` from 0 (all 1) to 1 (all classes count the same). The
    expected count assumes that each corpus has equally many clips of each of its classes, so that a class
    does not count as rare because corpora lack it. `share`: share of a corpus's clips that an epoch draws.
    """
    classes = classes_of(clips)
    counts, expected = torch.zeros(len(labels)), torch.zeros(len(labels))
    for clip in clips:
        drawn_share = share.get(clip.corpus, 1.0)
        counts[labels.index(clip.emotion)] += drawn_share
        for label in classes[clip.corpus]:
            expected[labels.index(label)] += drawn_share / len(classes[clip.corpus])
    return torch.where(counts > 0, (expected / counts) ** power, 0.0)

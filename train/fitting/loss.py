"""The training loss: cross-entropy over the classes a corpus has, weighted and focused as a recipe says."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from train.corpora import Clip, classes_of

MASKED = -1e4  # logit of a class that a clip's corpus does not have; finite, so that bfloat16 stays finite
SMALLEST = 1e-6  # of what the focal loss takes a power of, whose slope would be infinite at 0


def masked_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    allowed: Tensor,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
    gamma: float = 0.0,
) -> Tensor:
    """Mean cross-entropy over the classes each row's corpus has; label smoothing spreads over those alone.

    `logits` `(batch, class)`, `targets` `(batch,)`, `allowed` `(batch, class)` bool. `weights` `(class,)`:
    how much a row of each class counts in the mean. `gamma`, from 0 (none) to 5: the focal loss of Lin et
    al. (2017), "Focal loss for dense object detection", which multiplies a row by (1 - p)^gamma, where p is
    the probability of its target: what is sure already counts less.
    """
    log_probabilities = logits.float().masked_fill(~allowed, MASKED).log_softmax(-1)
    spread = allowed / allowed.sum(-1, keepdim=True)
    wanted = F.one_hot(targets, logits.shape[-1]) * (1 - smoothing) + spread * smoothing
    losses = -(wanted * log_probabilities.masked_fill(~allowed, 0.0)).sum(-1)
    if gamma:
        unsure = -log_probabilities.gather(1, targets[:, None])[:, 0].expm1()
        losses = losses * unsure.clamp(min=SMALLEST) ** gamma
    if weights is None:
        return losses.mean()
    rows = weights[targets]
    return (losses * rows).sum() / rows.sum()


def class_weights(
    clips: Sequence[Clip], labels: Sequence[str], power: float, share: Mapping[str, float]
) -> Tensor:
    """A weight for each of `labels`, `(class,)`: the rarer among `clips`, the more; 0 where there is none.

    It is (expected / found)^`power`, `power` from 0 (all 1) to 1 (all classes count alike). Expected are the
    clips a class would have if each corpus spread its own evenly over the classes it has, so that a class is
    not rare because corpora lack it. `share` of a corpus is what each epoch draws of it.
    """
    classes = classes_of(clips)
    found, expected = torch.zeros(len(labels)), torch.zeros(len(labels))
    for clip in clips:
        drawn = share.get(clip.corpus, 1.0)
        found[labels.index(clip.emotion)] += drawn
        for label in classes[clip.corpus]:
            expected[labels.index(label)] += drawn / len(classes[clip.corpus])
    return torch.where(found > 0, (expected / found) ** power, 0.0)

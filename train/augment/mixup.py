"""Mixtures of two clips and of their labels (Zhang et al. 2018, "mixup")."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ser_core.models.features import frame_mask
from train.augment.technique import Draw, Technique, check_number


@dataclass(frozen=True)
class Mixup(Technique):
    """Each row of a batch mixed with a partner from the same batch; works on features, on their device.

    The loss is the same mixture of the losses for both labels. Each loss covers the classes of the corpus of
    its own clip alone, as without mixup.
    """

    p: float = 1.0  # probability that a batch is mixed
    alpha: float = 0.2  # of the Beta distribution of the shares: small values mix little, 1 is uniform

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("alpha", self.alpha, 0.01, 10)

    def draw(self, rng: np.random.Generator, batch_size: int) -> Draw | None:
        """The share of a row itself and each row's partner; None if the batch is not mixed.

        The share is at least a half, because the mixture keeps the length of the row.
        """
        if rng.random() >= self.p:
            return None
        share = rng.beta(self.alpha, self.alpha)
        return {"share": max(share, 1 - share), "partners": rng.permutation(batch_size).tolist()}


def apply(features: Tensor, lengths: Tensor, draw: Draw) -> Tensor:
    """The mixture of `features` `(batch, band, frame)`; every row keeps its length in frames.

    A shorter partner is repeated, so that the shares hold to the end of the row.
    """
    partners = torch.tensor(draw["partners"], device=features.device)
    index = torch.arange(features.shape[-1], device=features.device)[None] % lengths[partners][:, None]
    other = features[partners].gather(2, index[:, None].expand_as(features))
    mixed = draw["share"] * features + (1 - draw["share"]) * other
    return mixed * frame_mask(lengths, features.shape[-1])[:, None]

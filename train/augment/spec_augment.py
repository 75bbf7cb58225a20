"""Time and frequency masks on features (Park et al. 2019, SpecAugment)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ser_core.models.features import frame_mask
from train.augment.technique import ClipTechnique, Draw, check_number

MASKS = 2  # of each kind


@dataclass(frozen=True)
class SpecAugment(ClipTechnique):
    """Two time masks and two frequency masks, drawn for each clip separately.

    `time` and `frequency` limit both masks of a kind together; the recipe's older keys `time_mask` and
    `frequency_mask` limit each mask. Works on features, on their device.
    """

    time: float = 0.2  # largest share of the frames that is masked
    frequency: float = 0.15  # largest share of the bands that is masked

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("time", self.time, 0, 0.5)
        check_number("frequency", self.frequency, 0, 0.5)

    def draw(self, rng: np.random.Generator) -> Draw:
        """Width (a share of all) and position (0: the first possible, 1: the last possible) of each mask."""

        def masks(most: float) -> list[list[float]]:
            return [[rng.uniform(0, most / MASKS), rng.uniform()] for _ in range(MASKS)]

        return {"time": masks(self.time), "frequency": masks(self.frequency)}


def tensor_of(draw: Draw | None) -> Tensor:
    """A draw as input of `apply`, `(2, MASKS, 2)`: time and frequency, mask, width and position.

    None gives masks of width 0.
    """
    if draw is None:
        return torch.zeros(2, MASKS, 2)
    return torch.tensor([draw["time"], draw["frequency"]], dtype=torch.float32)


def apply(features: Tensor, lengths: Tensor, masks: Tensor) -> Tensor:
    """`features` `(batch, band, frame)` with `masks` `(batch, 2, mask, 2)` applied (see `tensor_of`).

    Masked cells get the mean of their row. `lengths` `(batch,)` in frames.
    """
    batch, bands, frames = features.shape
    mean = row_mean(features, lengths)
    everything = torch.full((batch,), float(bands), device=features.device)
    hidden = torch.zeros_like(features, dtype=torch.bool)
    for time, frequency in zip(masks[:, 0].unbind(1), masks[:, 1].unbind(1), strict=True):
        hidden |= stretch(everything, frequency[:, 0], frequency[:, 1], bands)[:, :, None]
        hidden |= stretch(lengths.float(), time[:, 0], time[:, 1], frames)[:, None, :]
    hidden &= frame_mask(lengths, frames)[:, None]
    return torch.where(hidden, mean[:, None, None], features)


def row_mean(features: Tensor, lengths: Tensor) -> Tensor:
    """The mean of each row of `features` `(batch, band, frame)` over its `lengths`, `(batch,)`."""
    valid = frame_mask(lengths, features.shape[-1])[:, None]
    return (features * valid).sum((1, 2)) / (lengths * features.shape[1])


def stretch(sizes: Tensor, widths: Tensor, places: Tensor, total: int) -> Tensor:
    """A mask `(batch, total)` with one stretch per row.

    `widths` are shares of `sizes`, `places` are positions from 0 (first) to 1 (last); all `(batch,)`.
    """
    width = widths * sizes
    start = places * (sizes - width)
    index = torch.arange(total, device=sizes.device)[None]
    return (index >= start[:, None].floor()) & (index < (start + width)[:, None].floor())

"""Augmentation of whole batches of log-mel features, on the device that holds them.

Features are whisper- or utterance-normalised log-mel `(batch, band, frame)`. Rows are independent unless
stated otherwise, and all random numbers come from the generator that is passed in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ser_core.models.features import frame_mask
from train.augment.augmentation import Augmentation
from train.augment.spec_augment import MASKS, row_mean, stretch


def augment(
    features: Tensor, lengths: Tensor, options: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """An augmented copy of `features` `(batch, band, frame)` and its lengths in frames."""
    features, lengths = time_stretch(features, lengths, options.time_stretch, generator)
    features = frequency_warp(features, options.frequency_warp, generator)
    features = channel(features, options.channel, generator)
    features = spec_augment(features, lengths, options.time_mask, options.frequency_mask, generator)
    return features * frame_mask(lengths, features.shape[-1])[:, None], lengths


def time_stretch(
    features: Tensor, lengths: Tensor, spread: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Stretches the whole batch in time by one rate from 1 ± `spread`; the pitch does not change."""
    rate = 1 + spread * _uniform((1,), generator).item()
    frames = max(1, int(features.shape[-1] / rate))
    stretched = F.interpolate(features, size=frames, mode="linear", align_corners=False)
    return stretched, (lengths * frames // features.shape[-1]).clamp(min=1)


def frequency_warp(features: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """Reads bands at `band * factor`, with one factor from 1 ± `spread` for the batch (vocal tract)."""
    bands = features.shape[1]
    factor = 1 + spread * _uniform((1,), generator).item()
    position = (torch.arange(bands, device=features.device) * factor).clamp(max=bands - 1)
    low = position.long()
    high = (low + 1).clamp(max=bands - 1)
    share = (position - low)[:, None]
    return features[:, low] * (1 - share) + features[:, high] * share


def channel(features: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Adds a smooth random curve over the bands to each row, like another microphone or room."""
    knots = torch.randn((len(features), 1, 6), generator=generator).to(features) * deviation
    curve = F.interpolate(knots, size=features.shape[1], mode="linear", align_corners=True)
    return features + curve.transpose(1, 2)


def spec_augment(
    features: Tensor, lengths: Tensor, time: float, frequency: float, generator: torch.Generator
) -> Tensor:
    """Two time and two frequency masks a row (Park et al. 2019), filled with the row's mean."""
    batch, bands, frames = features.shape
    masked = torch.zeros_like(features, dtype=torch.bool)
    everything = torch.full((batch,), float(bands), device=features.device)
    for _ in range(MASKS):
        masked |= _stretch(everything, frequency, bands, generator)[:, :, None]
        masked |= _stretch(lengths.float(), time, frames, generator)[:, None, :]
    return torch.where(masked, row_mean(features, lengths)[:, None, None], features)


def _stretch(sizes: Tensor, share: float, total: int, generator: torch.Generator) -> Tensor:
    """One random stretch a row, up to `share` of `sizes` `(batch,)` long, as a mask `(batch, total)`."""
    draws = (_uniform((2, len(sizes)), generator).to(sizes) + 1) / 2
    return stretch(sizes, draws[0] * share, draws[1], total)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform in [-1, 1), drawn on the CPU so that every device sees the same numbers."""
    return torch.rand(shape, generator=generator) * 2 - 1

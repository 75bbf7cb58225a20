"""What several architectures share."""

import torch
from torch import Tensor, nn

from ser_core.features import frame_mask


class MaskedConvBlock(nn.Module):
    """Convolution 3×3, batch norm, ReLU, max-pool, dropout; silent behind each row's length.

    `(batch, channel, band, frame)` with lengths in frames to pooled ones with pooled lengths.
    """

    def __init__(self, in_channels: int, out_channels: int, pool: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.pool = nn.MaxPool2d(pool)
        self.dropout = nn.Dropout(dropout)
        self.factor = pool

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled activations and their lengths in frames."""
        x = torch.relu(self.norm(self.conv(x)))
        x = self.dropout(self.pool(x))
        lengths = lengths // self.factor
        return x * frame_mask(lengths, x.shape[-1])[:, None, None, :], lengths


def masked_adaptive_mean(x: Tensor, lengths: Tensor, bins: int) -> Tensor:
    """Means over `bins` equal parts of each row's valid steps: `(batch, channel, step)` to `(…, bins)`.

    With `bins` valid steps it returns them as they are (adaptive average pooling, per row).
    """
    edge = torch.arange(bins, device=x.device)
    start = (edge[None, :] * lengths[:, None]) // bins  # (batch, bin)
    end = -(-(edge[None, :] + 1) * lengths[:, None] // bins)
    step = torch.arange(x.shape[-1], device=x.device)
    inside = (step >= start[..., None]) & (step < end[..., None])  # (batch, bin, step)
    weights = inside.to(x.dtype) / (end - start)[..., None]
    return torch.einsum("bct,bkt->bck", x, weights)


def masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid steps: `(batch, step, channel)` and `(batch, step)` to `(batch, channel)`."""
    weights = valid.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1)


class AttentiveStatistics(nn.Module):
    """Attention-weighted mean and standard deviation over time (Okabe et al. 2018).

    `(batch, step, channel)` with a mask `(batch, step)` to `(batch, 2 * channel)`.
    """

    def __init__(self, channels: int, hidden: int = 128) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(channels, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """The pooled statistics."""
        scores = self.score(x).squeeze(-1).masked_fill(~valid, -torch.inf)
        weights = scores.softmax(dim=-1)[..., None]
        mean = (weights * x).sum(1)
        variance = (weights * (x - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)

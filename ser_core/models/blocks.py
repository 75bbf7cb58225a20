"""Layers that several architectures share. Padding beyond a row's length never changes their output."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import frame_mask

# 128 bands every 5 ms: close to the 5.3 ms (256 samples at 48 kHz) of the parallel and stacked networks of
# Bautista, Lee and Shin (2022), so that their layers work at about the published scale.
LOG_MEL_128 = FeatureSpec(n_fft=512, hop_length=80, n_mels=128)
MFCC_40 = FeatureSpec(kind="mfcc", n_mfcc=40)
CHUNK_FRAMES = 128
CHUNK_STRIDE = 64
BYTE_VALUES = 256
LONGEST_PERIOD = 10_000.0  # steps; of the sinusoids that encode positions


def mask_padding(features: Tensor, lengths: Tensor, shortest: int) -> tuple[Tensor, Tensor]:
    """`features` `(batch, band, frame)` with zeros beyond their lengths, and the lengths in frames.

    A row of fewer than `shortest` frames counts as `shortest` frames long.
    """
    features = features * frame_mask(lengths, features.shape[-1])[:, None]
    features = F.pad(features, (0, max(0, shortest - features.shape[-1])))
    return features, lengths.clamp(min=shortest)


class Dropout(nn.Dropout):
    """Dropout that is fast on a CPU, where drawing torch's mask took a third of a training step.

    On a CPU a random byte decides for each cell: the rate is rounded to a 256th, and the remaining cells are
    scaled by the rounded rate. On other devices it is torch's dropout.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`x` of any shape; in training a share `p` of its cells is set to zero."""
        if x.device.type != "cpu" or not self.training:
            return super().forward(x)
        threshold = BYTE_VALUES - round(BYTE_VALUES * self.p)  # bytes below it keep their cell
        if threshold in (0, BYTE_VALUES):
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        mask = words.view(torch.uint8)[: x.numel()].view(x.shape) < threshold
        return x * mask.to(x.dtype).mul_(BYTE_VALUES / threshold)


class MaskedConvBlock(nn.Module):
    """Convolution 3×3, batch norm, (leaky) ReLU, max-pool, dropout; zero beyond each row's length.

    `(batch, channel, band, frame)` with lengths in frames to pooled ones with pooled lengths.
    """

    def __init__(
        self, in_channels: int, out_channels: int, pool: tuple[int, int], dropout: float, slope: float = 0.0
    ) -> None:
        """`pool`: bands and frames that become one; `slope`: of the ReLU below zero."""
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        # Channels last in memory, which makes pooling and norm much faster.
        self.conv.weight.data = self.conv.weight.data.contiguous(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(out_channels)
        self.pool = nn.MaxPool2d(pool)
        self.dropout = Dropout(dropout)
        self.slope = slope
        self.frames = pool[1]

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled activations and their lengths in steps."""
        x = self.pool(self.norm(self.conv(x).contiguous(memory_format=torch.channels_last)))
        x = self.dropout(F.leaky_relu(x, self.slope))  # equal to ReLU before pooling, on fewer cells
        lengths = lengths // self.frames
        return x * frame_mask(lengths, x.shape[-1])[:, None, None, :], lengths


class ConvStack(nn.ModuleList):
    """Convolution blocks one after another, on features `(batch, band, frame)` of any length."""

    def __init__(
        self,
        channels: Sequence[int],
        pools: Sequence[int | tuple[int, int]],
        dropout: float,
        slope: float = 0.0,
    ) -> None:
        """`channels`: outputs of each block; `pools`: bands and frames that become one in each block."""
        sizes = [(pool, pool) if isinstance(pool, int) else pool for pool in pools]
        inputs = (1, *channels[:-1])
        super().__init__(
            MaskedConvBlock(*block, dropout, slope) for block in zip(inputs, channels, sizes, strict=True)
        )
        self.frames = math.prod(frames for _, frames in sizes)  # that become one step

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Activations `(batch, channel, band, step)` and their lengths in steps, at least one."""
        features, lengths = mask_padding(features, lengths, self.frames)
        x = features[:, None]
        for block in self:
            x, lengths = block(x, lengths)
        return x, lengths


def over_time(x: Tensor) -> Tensor:
    """Convolved `(batch, channel, band, step)` as a sequence `(batch, step, channel * band)`."""
    return x.flatten(1, 2).transpose(1, 2)


def time_bins(convolved: tuple[Tensor, Tensor], bins: int) -> Tensor:
    """The output of a `ConvStack`, averaged over time in `bins` parts: `(batch, channel * band * bins)`."""
    x, lengths = convolved
    return masked_adaptive_mean(x.flatten(1, 2), lengths, bins).flatten(1)


def masked_adaptive_mean(x: Tensor, lengths: Tensor, bins: int) -> Tensor:
    """Means over `bins` equal parts of each row's valid steps: `(batch, channel, step)` to `(…, bins)`.

    Adaptive average pooling, per row: `bins` valid steps are returned unchanged.
    """
    edge = torch.arange(bins, device=x.device)
    start = (edge[None, :] * lengths[:, None]) // bins  # (batch, bin)
    end = -(-(edge[None, :] + 1) * lengths[:, None] // bins)
    step = torch.arange(x.shape[-1], device=x.device)
    inside = (step >= start[..., None]) & (step < end[..., None])  # (batch, bin, step)
    weights = inside.to(x.dtype) / (end - start)[..., None]
    return torch.einsum("bct,bkt->bck", x, weights)


class ChunkCnn(nn.Module):
    """The same CNN on chunks of 128 frames, one every 64 frames: `(batch, band, frame)` to a sequence.

    As published, the rest after the last whole chunk (less than 64 frames) is ignored. A row shorter than a
    chunk is padded to one.
    """

    def __init__(self, channels: Sequence[int], pools: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.blocks = ConvStack(channels, pools, dropout)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, chunk, channel * band * step)`, zero beyond each row's chunks, and their number."""
        features, lengths = mask_padding(features, lengths, CHUNK_FRAMES)
        counts = (lengths - CHUNK_FRAMES) // CHUNK_STRIDE + 1
        chunks = features.unfold(-1, CHUNK_FRAMES, CHUNK_STRIDE).transpose(1, 2)
        valid = frame_mask(counts, chunks.shape[1])
        inputs = chunks[valid]  # (chunk of any row, band, frame), so that batch norm gets no padding
        flat = self.blocks(inputs, counts.new_full((len(inputs),), CHUNK_FRAMES))[0].flatten(1)
        out = flat.new_zeros(*valid.shape, flat.shape[-1])
        out[valid] = flat
        return out, counts


class MaskedLstm(nn.Module):
    """LSTM that ignores padding: `(batch, step, channel)` to `(batch, step, width)`.

    `width` is `hidden`, or twice that if `bidirectional`; zero beyond each row's length.
    """

    def __init__(self, channels: int, hidden: int, layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The top layer's output at each step; `lengths` in steps, at least one each."""
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return out


def last_valid(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row's last valid step: `(batch, step, channel)` to `(batch, channel)`."""
    return x[torch.arange(len(x), device=x.device), lengths - 1]


def pooled_sequence(features: Tensor, lengths: Tensor, bands: int, frames: int) -> tuple[Tensor, Tensor]:
    """Features max-pooled to a sequence `(batch, step, band // bands)`, and its lengths in steps."""
    features, lengths = mask_padding(features, lengths, frames)
    pooled = F.max_pool2d(features[:, None], (bands, frames)).squeeze(1)
    return pooled.transpose(1, 2), lengths // frames


class MaskedTransformer(nn.Module):
    """Transformer encoder layers of 4 heads, averaged over the valid steps.

    `(batch, step, width)` to `(batch, width)`. With `positions`, sinusoids (Vaswani et al. 2017) are added
    first. Without, as in the published networks, the output does not depend on the order of the steps.
    """

    def __init__(
        self, width: int, layers: int, dropout: float, positions: bool, feed_forward: int = 512
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, feed_forward, dropout, batch_first=True)
            for _ in range(layers)
        )
        for layer in self.layers:
            layer.dropout, layer.dropout1, layer.dropout2 = (Dropout(dropout) for _ in range(3))
        self.positions = positions

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The mean of the top layer over each row's steps."""
        valid = frame_mask(lengths, x.shape[1])
        if self.positions:
            x = x + sinusoids(x.shape[1], x.shape[2]).to(x)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~valid)
        return masked_mean(x, valid)


def sinusoids(steps: int, width: int) -> Tensor:
    """Position encoding by sines and cosines of many periods, `(step, width)`; `width` is even."""
    rates = LONGEST_PERIOD ** -(torch.arange(0, width, 2) / width)
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid steps: `(batch, step, channel)` and `(batch, step)` to `(batch, channel)`."""
    weights = valid.to(x.dtype)[..., None]
    return (x * weights).sum(1) / weights.sum(1)


def mean_and_deviation(x: Tensor, valid: Tensor) -> Tensor:
    """Mean and standard deviation over the valid steps: as `masked_mean`, to `(batch, 2 * channel)`."""
    mean = masked_mean(x, valid)
    variance = masked_mean((x - mean[:, None]).square(), valid)
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)


class AttentionPooling(nn.Module):
    """Mean over time by learned weights: `(batch, step, channel)` to `(batch, channel)`.

    The feed-forward attention of Raffel and Ellis (2015): one score per step, `tanh(w · x + b)`. The
    published networks have no tanh, so that their softmax cancels `b`, which is never learned.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The weighted mean over each row's `lengths` steps."""
        scores = torch.tanh(self.score(x)).squeeze(-1)
        weights = scores.masked_fill(~frame_mask(lengths, x.shape[1]), -torch.inf).softmax(dim=-1)
        return (weights[..., None] * x).sum(1)


class AttentiveStatistics(nn.Module):
    """Attention-weighted mean and standard deviation over time (Okabe et al. 2018).

    `(batch, step, channel)` with a mask `(batch, step)` to `(batch, 2 * channel)`. `score_bias` adds a
    constant to all scores. It has no effect and is never learned, but Whisper checkpoints contain it.
    """

    def __init__(self, channels: int, hidden: int = 128, score_bias: bool = True) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1, bias=score_bias)
        self.score = nn.Sequential(nn.Linear(channels, hidden), nn.Tanh(), last)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """The pooled statistics."""
        scores = self.score(x).squeeze(-1).masked_fill(~valid, -torch.inf)
        weights = scores.softmax(dim=-1)[..., None]
        mean = (weights * x).sum(1)
        variance = (weights * (x - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)


def blocks_of(convolutions: nn.Sequential) -> list[nn.Module]:
    """`convolutions` split after each pooling layer: one module per block."""
    ends = [i + 1 for i, layer in enumerate(convolutions) if isinstance(layer, nn.MaxPool2d)]
    return [convolutions[start:end] for start, end in zip([0, *ends], ends, strict=False)]

"""CAM++: a vector for the voice in a stretch of speech.

Wang et al. (2023), "CAM++: A fast and efficient network for speaker verification using context-aware
masking", arXiv 2303.00332. Parameters have the names of the published weights, so that these load unchanged.
Input is Kaldi's filterbank, `(batch, frame, 80)`, with the mean of each band removed, as `features.fbank_of`
gives it.

Of clips of different lengths in one batch, `inside` `(batch, 1, frame)` is 1 for frames and 0 for padding;
without it, every frame counts.
"""

import hashlib
from collections.abc import Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fusion

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.models.features import frame_mask

BANDS = 80
STEP_SAMPLES = SAMPLE_RATE // 50  # 20 ms, between the hidden states
EMBEDDING_SIZE = 192
WIDTH = 32  # channels of the head, and what each dense layer adds
BOTTLENECK = 128
CONTEXT_STEPS = 100  # of 20 ms: the stretch whose mean goes into the mask of its steps
BLOCKS = ((12, 1), (24, 2), (16, 2))  # (layers, dilation) of each densely connected block
LOWER = ("tdnn", "block1", "transit1", "block2")  # what `MiddleBlock` is made of, behind the head


class CAMPlusPlus(nn.Module):
    """Speaker encoder: a residual head over time and band, then a densely connected TDNN with masks."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Head()
        self.xvector = nn.ModuleDict()
        channels = BOTTLENECK
        self.xvector["tdnn"] = TDNN(WIDTH * BANDS // 8, channels)
        for number, (layers, dilation) in enumerate(BLOCKS, start=1):
            self.xvector[f"block{number}"] = DenseBlock(channels, layers, dilation)
            channels += layers * WIDTH
            self.xvector[f"transit{number}"] = Transit(channels, channels // 2)
            channels //= 2
        self.xvector["out_nonlinear"] = Normalised(channels)
        self.xvector["dense"] = Dense(2 * channels, EMBEDDING_SIZE)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings `(batch, 192)` of `features` `(batch, frame, 80)`; at least three frames each.

        Compare them by the cosine. They are the last normalisation's output: a ReLU after it would cost one
        to two points of equal error rate.
        """
        return self.upper(self.lower(features))

    def lower(self, features: Tensor) -> Tensor:
        """Hidden states `(batch, step, 1024)` behind the second block, 20 ms a step; as `MiddleBlock`."""
        x = self.head(features.transpose(1, 2)[:, None])
        for name in LOWER:
            x = self.xvector[name](x)
        out: Tensor = x.transpose(1, 2)
        return out

    def upper(self, states: Tensor) -> Tensor:
        """Embeddings `(batch, 192)` of what `lower` gives, of at least two steps."""
        x = states.transpose(1, 2)
        for name, part in self.xvector.items():
            if name not in LOWER:
                x = part(x)
        return x


class Head(nn.Module):
    """Residual network over time and band: `(batch, 1, 80, frame)` to `(batch, 320, frame)`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTH, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.layer1 = nn.Sequential(Residual(2), Residual(1))
        self.layer2 = nn.Sequential(Residual(2), Residual(1))
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(WIDTH)

    def forward(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        """See the class."""
        mask = None if inside is None else inside[:, None]
        x = _masked(F.relu(self.bn1(self.conv1(x))), mask)
        for block in (*self.layer1, *self.layer2):
            x = block(x, mask)
        return _masked(F.relu(self.bn2(self.conv2(x))).flatten(1, 2), inside)


class Residual(nn.Module):
    """Two convolutions and a shortcut; `stride` is over the bands only."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(WIDTH, WIDTH, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(WIDTH)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(WIDTH, WIDTH, 1, stride=(stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(WIDTH))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`(batch, 32, band, frame)` to `(batch, 32, band / stride, frame)`.

        `mask` `(batch, 1, 1, frame)`: as `inside` of the module.
        """
        y = _masked(F.relu(self.bn1(self.conv1(x))), mask)
        return _masked(F.relu(self.bn2(self.conv2(y)) + self.shortcut(x)), mask)


class Normalised(nn.Module):
    """Batch normalisation and ReLU over `(batch, channel, step)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batchnorm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.relu(self.batchnorm(x))


class TDNN(nn.Module):
    """The first layer over time, which halves the rate: a step is 20 ms."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out, 5, stride=2, padding=2, bias=False)
        self.nonlinear = Normalised(out)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channel, frame)` to `(batch, out, step)`."""
        out: Tensor = self.nonlinear(self.linear(x))
        return out


class ContextMask(nn.Module):
    """A convolution whose output is masked by the mean of the whole and of each two seconds."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(BOTTLENECK, WIDTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, WIDTH, 1)

    def forward(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        """`(batch, 128, step)` to `(batch, 32, step)`."""
        steps = x.shape[-1]
        parts = F.avg_pool1d(x, CONTEXT_STEPS, CONTEXT_STEPS, ceil_mode=True)  # (batch, 128, part)
        mean = x.mean(-1, keepdim=True)
        if inside is not None:  # `x` is 0 in the padding, which must not count in the means either
            share = F.avg_pool1d(inside, CONTEXT_STEPS, CONTEXT_STEPS, ceil_mode=True)
            parts = parts / share.clamp(min=1 / CONTEXT_STEPS)
            mean = mean / inside.mean(-1, keepdim=True)
        mask = torch.sigmoid(self.linear2(F.relu(self.linear1(mean + parts))))
        part_of = torch.arange(steps, device=x.device) // CONTEXT_STEPS
        out: Tensor = self.linear_local(x) * mask[..., part_of]
        return out


class DenseLayer(nn.Module):
    """One layer of a densely connected block: what it adds to its input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = Normalised(channels)
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = Normalised(BOTTLENECK)
        self.cam_layer = ContextMask(dilation)

    def forward(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        """`(batch, channel, step)` to `(batch, 32, step)`."""
        x = _masked(self.nonlinear2(self.linear1(self.nonlinear1(x))), inside)
        out: Tensor = self.cam_layer(x, inside)
        return out


class DenseBlock(nn.Module):
    """Layers that each read the input and what all earlier ones added."""

    def __init__(self, channels: int, layers: int, dilation: int) -> None:
        super().__init__()
        for number in range(layers):
            self.add_module(f"tdnnd{number + 1}", DenseLayer(channels + number * WIDTH, dilation))

    def forward(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        """`(batch, channel, step)` to `(batch, channel + 32 * layers, step)`."""
        for layer in self.children():
            x = torch.cat([x, layer(x, inside)], dim=1)
        return x


class Transit(nn.Module):
    """Halves the channels between blocks."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.nonlinear = Normalised(channels)
        self.linear = nn.Conv1d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channel, step)` to `(batch, out, step)`."""
        out: Tensor = self.linear(self.nonlinear(x))
        return out


class Dense(nn.Module):
    """Mean and deviation over time, a matrix, and a normalisation without weights of its own."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out, 1, bias=False)
        self.nonlinear = nn.ModuleDict({"batchnorm": nn.BatchNorm1d(out, affine=False)})

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channel, step)` to `(batch, out)`."""
        deviation, mean = torch.std_mean(x, dim=-1)
        out: Tensor = self.nonlinear["batchnorm"](self.linear(torch.cat([mean, deviation], 1)[..., None]))
        return out[..., 0]


class MiddleBlock(nn.Module):
    """CAM++ up to its second densely connected block, which tells emotions better than what follows it.

    Parameters have the names of the published weights.
    """

    size = 1024  # channels

    def __init__(self) -> None:
        super().__init__()
        self.head = Head()
        whole = CAMPlusPlus()
        self.xvector = nn.ModuleDict({name: whole.xvector[name] for name in LOWER})

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hidden states `(batch, step, 1024)` of 20 ms, and the mask `(batch, step)` of valid ones.

        `features` `(batch, 80, frame)`: as of `CAMPlusPlus`, transposed; `lengths` in frames, by default all.
        """
        frames = features.shape[-1]
        inside = steps = None
        valid = features.new_ones(features.shape[0], (frames + 1) // 2, dtype=torch.bool)
        if lengths is not None:
            inside = frame_mask(lengths, frames)[:, None].to(features.dtype)
            valid = frame_mask((lengths + 1) // 2, (frames + 1) // 2)
            steps = valid[:, None].to(features.dtype)
        x = self.head(_masked(features, inside)[:, None], inside)
        x = self.xvector["block1"](_masked(self.xvector["tdnn"](x), steps), steps)
        x = self.xvector["block2"](self.xvector["transit1"](x), steps)
        return x.transpose(1, 2), valid


def middle_weights(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the weights of a `MiddleBlock` in `weights`, by their published names, as float32.

    Two networks of which it is the same give the same hidden states.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        part = name.removeprefix("xvector.").split(".")[0]
        if part in ("head", *LOWER) and not name.endswith("num_batches_tracked"):
            digest.update(name.encode() + weights[name].float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


Folded = TypeVar("Folded", CAMPlusPlus, MiddleBlock)


def fold(model: Folded) -> Folded:
    """`model`, or a `MiddleBlock`, in evaluation mode, with each normalisation folded into the convolution
    that it follows. The output stays the same up to rounding.
    """
    head: Head = model.head
    for part in [head, *head.layer1, *head.layer2]:
        for number in (1, 2):
            convolution, norm = getattr(part, f"conv{number}"), getattr(part, f"bn{number}")
            setattr(part, f"conv{number}", fusion.fuse_conv_bn_eval(convolution, norm))
            setattr(part, f"bn{number}", nn.Identity())
        if isinstance(part, Residual) and len(part.shortcut):
            part.shortcut = nn.Sequential(fusion.fuse_conv_bn_eval(*part.shortcut))
    for module in model.modules():
        if isinstance(module, DenseLayer):
            module.linear1 = fusion.fuse_conv_bn_eval(module.linear1, module.nonlinear2.batchnorm)
            module.nonlinear2.batchnorm = nn.Identity()  # type: ignore[assignment]
        elif isinstance(module, TDNN):
            module.linear = fusion.fuse_conv_bn_eval(module.linear, module.nonlinear.batchnorm)
            module.nonlinear.batchnorm = nn.Identity()  # type: ignore[assignment]
    return model

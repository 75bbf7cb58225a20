"""Runs the lower part of CAM++ on a CPU: clips of any lengths in one batch (see `ser_core.models.packed`).

The head's convolutions are computed clip by clip. Behind it the steps of all clips stand below each other, so
that each layer needs a few large matrix products instead of many small convolutions. `GAP` rows of zeros
between two clips keep the convolutions over time apart. The result for a clip does not depend on the others.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models.campplus import (
    CONTEXT_STEPS,
    WIDTH,
    DenseBlock,
    DenseLayer,
    Head,
    MiddleBlock,
    Normalised,
    Residual,
    fold,
)

GAP = 2  # rows between clips: the widest dilation
# oneDNN compiles code for each number of frames of a convolution, which takes as long as the convolution.
FRAMES = 64  # the number of frames is a multiple of this
SPARE = 3  # rows of zeros behind the parts: products of fewer than four rows have other last digits


class Layout(NamedTuple):
    """Where the steps of the clips stand among the rows, and the parts of two seconds of each clip."""

    steps: list[int]  # of each clip
    inside: Tensor  # (row, 1) 1 where there is a step, 0 in the gaps
    rows_of_part: Tensor  # (part,) how many, the gap behind a clip's last part included
    steps_of_part: Tensor  # (part, 1)
    part_of_row: Tensor  # (row,)
    clip_of_part: Tensor  # (part,)
    steps_of_clip: Tensor  # (clip, 1)

    @classmethod
    def of(cls, steps: Sequence[int]) -> "Layout":
        """The layout of clips with so many steps each; the first clip begins behind a gap."""
        parts = [[min(CONTEXT_STEPS, n - at) for at in range(0, n, CONTEXT_STEPS)] for n in steps]
        rows = [[*part[:-1], part[-1] + GAP] for part in parts]
        rows[0][0] += GAP
        rows_of_part = torch.tensor([n for clip in rows for n in clip])
        inside = F.pad(torch.cat([F.pad(torch.ones(n), (0, GAP)) for n in steps]), (GAP, 0))
        return cls(
            list(steps),
            inside[:, None],
            rows_of_part,
            torch.tensor([[float(n)] for clip in parts for n in clip]),
            torch.arange(len(rows_of_part)).repeat_interleave(rows_of_part),
            torch.arange(len(steps)).repeat_interleave(torch.tensor([len(part) for part in parts])),
            torch.tensor([[float(n)] for n in steps]),
        )


class PackedMiddleBlock:
    """Computes `campplus.MiddleBlock` for inference, in float32."""

    def __init__(self, model: MiddleBlock) -> None:
        folded = fold(deepcopy(model).eval())
        self._head = folded.head
        parts: dict[str, Any] = dict(folded.xvector)
        tdnn, transit = parts["tdnn"], parts["transit1"]
        self._tdnn = Affine(tdnn.linear.weight.detach().flatten(1), tdnn.linear.bias.detach())
        self._blocks = [_Block.of(parts[name]) for name in ("block1", "block2")]
        self._transit = _Normalised.of(transit.nonlinear), transit.linear.weight[..., 0]

    def __call__(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Hidden states `(step, 1024)` of each of `clips`, filterbanks `(80, frame)`."""
        windows = [_windows(self._head_of(clip)) for clip in clips]  # (step, 320 * 5) each
        layout = Layout.of([len(rows) for rows in windows])
        rows = F.pad(torch.cat([F.pad(clip, (0, 0, 0, GAP)) for clip in windows]), (0, 0, GAP, 0))
        x = self._tdnn(rows).relu_()
        x = self._blocks[0](x, layout)
        normalise, matrix = self._transit
        x = self._blocks[1](F.linear(normalise(x), matrix), layout)
        starts = [GAP + sum(layout.steps[:clip]) + GAP * clip for clip in range(len(clips))]
        return [x[start : start + n] for start, n in zip(starts, layout.steps, strict=True)]

    def _head_of(self, clip: Tensor) -> Tensor:
        """The head's output `(frame, 320)` for a filterbank `(80, frame)`."""
        frames = clip.shape[-1]
        x = F.pad(clip, (0, -frames % FRAMES))[None, None]
        head: Head = self._head
        x = _without(head.conv1(x).relu_(), frames)
        for block in (*head.layer1, *head.layer2):
            x = _residual(block, x, frames)
        out: Tensor = head.conv2(x).relu_()[0, ..., :frames].flatten(0, 1).T
        return out


def _residual(block: nn.Module, x: Tensor, frames: int) -> Tensor:
    """A folded `campplus.Residual` on `(1, 32, band, frame)`, which stays zero from `frames` on."""
    assert isinstance(block, Residual)
    y = _without(block.conv1(x).relu_(), frames)
    return _without(block.conv2(y).add_(block.shortcut(x)).relu_(), frames)


def _without(x: Tensor, frames: int) -> Tensor:
    """`x` `(…, frame)` with zeros from `frames` on, in place."""
    x[..., frames:] = 0
    return x


def _windows(rows: Tensor) -> Tensor:
    """What each step of the first layer over time reads of `rows` `(frame, 320)`: `(step, 320 * 5)`."""
    return F.pad(rows, (0, 0, 2, 2)).unfold(0, 5, 2).flatten(1)


class Affine(NamedTuple):
    """Weights of a matrix product, of a convolution over single steps, or of a wider convolution."""

    weight: Tensor  # (out, in), of a wider convolution (out, in, kernel)
    bias: Tensor  # (out,)

    @classmethod
    def of(cls, layer: nn.Linear | nn.Conv1d, dtype: torch.dtype = torch.float32) -> "Affine":
        """Those of `layer`, which has a bias, in `dtype`."""
        assert layer.bias is not None
        weight = layer.weight.detach().to(dtype)
        return cls(weight[..., 0] if weight.shape[2:] == (1,) else weight, layer.bias.detach().to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """`(row, in)` to `(row, out)`, of matrices."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class _Normalised(NamedTuple):
    """A batch normalisation and ReLU."""

    scale: Tensor  # (channel,)
    shift: Tensor  # (channel,)

    @classmethod
    def of(cls, layer: Normalised) -> "_Normalised":
        norm = layer.batchnorm
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return cls(scale.detach(), (norm.bias - norm.running_mean * scale).detach())

    def __call__(self, x: Tensor) -> Tensor:
        """`(row, channel)` to the same."""
        return torch.addcmul(self.shift, x, self.scale).relu_()


class _Block:
    """A densely connected block on packed rows."""

    def __init__(self, layers: Sequence["_Layer"]) -> None:
        self._layers = layers

    @classmethod
    def of(cls, block: DenseBlock) -> "_Block":
        return cls([_Layer.of(layer) for layer in block.children() if isinstance(layer, DenseLayer)])

    def __call__(self, x: Tensor, layout: Layout) -> Tensor:
        """`(row, channel)` to `(row, channel + 32 * layers)`."""
        channels = x.shape[1]
        states = x.new_empty(len(x), channels + WIDTH * len(self._layers))
        states[:, :channels] = x
        for layer in self._layers:
            torch.mul(*layer(states[:, :channels], layout), out=states[:, channels : channels + WIDTH])
            channels += WIDTH
        return states


class _Layer(NamedTuple):
    """One layer of a densely connected block."""

    normalise: _Normalised
    narrow: "Affine"  # to 128 channels
    local: Tensor  # (3 * 32, 128), the kernel's three taps below each other
    dilation: int
    context: tuple["Affine", "Affine"]  # of the mask

    @classmethod
    def of(cls, layer: DenseLayer) -> "_Layer":
        mask = layer.cam_layer
        assert isinstance(mask.linear_local.dilation[0], int)
        return cls(
            _Normalised.of(layer.nonlinear1),
            Affine.of(layer.linear1),
            mask.linear_local.weight.detach().permute(2, 0, 1).flatten(0, 1),
            mask.linear_local.dilation[0],
            (Affine.of(mask.linear1), Affine.of(mask.linear2)),
        )

    def __call__(self, x: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """The convolution's output `(row, 32)` and the mask `(row, 32)` that it is multiplied by."""
        x = self.narrow(self.normalise(x)).relu_().mul_(layout.inside)
        before, here, after = F.linear(x, self.local).chunk(3, dim=1)
        here = here.contiguous()
        here[self.dilation :] += before[: -self.dilation]
        here[: -self.dilation] += after[self.dilation :]
        return here, self._mask(x, layout)[layout.part_of_row]

    def _mask(self, x: Tensor, layout: Layout) -> Tensor:
        """`(part + SPARE, 32)` of `x` `(row, 128)`, which is zero in the gaps."""
        sums = torch.segment_reduce(x, "sum", lengths=layout.rows_of_part, unsafe=True)
        means = x.new_zeros(len(layout.steps), x.shape[1]).index_add_(0, layout.clip_of_part, sums)
        means /= layout.steps_of_clip
        context = F.pad(means[layout.clip_of_part] + sums / layout.steps_of_part, (0, 0, 0, SPARE))
        first, second = self.context
        return torch.sigmoid(second(first(context).relu_()))

"""The default model's encoder on a CPU: clips of any lengths in one pass, without padding.

The steps of all clips stand one after another, so that every matrix product is one large one, and only
attention and pooling are done clip by clip. What a clip gets does not depend on its company, to the last bit:
no product's row depends on how many rows there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models.whisper import EncoderLayer
from ser_core.models.whisper_adaptive import WhisperAdaptive

# oneDNN, which multiplies in bfloat16, compiles code for each number of rows and keeps some of it.
ROWS = {torch.float32: 1, torch.bfloat16: 32}  # the number of rows is a multiple of this


class PackedEmbedder:
    """Computes `WhisperAdaptive.embed` for inference, matrices and convolutions in `dtype`.

    Sums that go on from layer to layer, norms and pooling are float32 in any case.
    """

    def __init__(self, model: WhisperAdaptive, dtype: torch.dtype) -> None:
        encoder, self._read_layers = model.encoder, model.read_layers
        self._dtype = dtype
        self._convolutions = [_of_neighbours(layer, dtype) for layer in (encoder.conv1, encoder.conv2)]
        self._positions = encoder.embed_positions.weight.detach()
        self._layers = [_Layer.of(layer, dtype) for layer in encoder.layers]  # type: ignore[arg-type]

    def __call__(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings `(batch, size)` of log-mel `(batch, 80, frame)` with lengths in frames."""
        rows = self._stem(features, lengths.tolist())
        steps = [len(row) for row in rows]
        fill = self._filled(sum(steps)) - sum(steps)
        x = F.pad(torch.cat(rows), (0, 0, 0, fill))  # (step of any clip, width)
        states = [x]
        for layer in self._layers:
            x = layer(x, steps)
            states.append(x)
        read = torch.stack(states[-self._read_layers :])  # (layer, step of any clip, width)
        clips = torch.split(read, [*steps, fill], dim=1)[:-1]
        return torch.stack([_mean_and_deviation(clip) for clip in clips])

    def _filled(self, rows: int) -> int:
        """`rows`, or a few more, so that few numbers occur."""
        return ceil(rows / ROWS[self._dtype]) * ROWS[self._dtype]

    def _stem(self, features: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """Log-mel `(batch, 80, frame)` to `(step, width)` of each clip, 20 ms a step.

        The convolutions too are products over all clips, behind each of which there are frames of zeros, as a
        convolution pads it. Clip by clip they would take twice as long.
        """
        slots = [2 * (length // 2 + 1) for length in lengths]  # frames; even, since every other makes a step
        starts = [0, *accumulate(slots)]
        total = 2 * self._filled(starts[-1] // 2)
        frames = features.new_zeros(total, features.shape[1])  # (frame of any clip, 80)
        inside = features.new_zeros(total, 1)
        for clip, start, length in zip(features, starts, lengths, strict=False):
            frames[start : start + length] = clip[:, :length].T
            inside[start : start + length] = 1
        first, second = self._convolutions
        x = F.gelu(first(_neighbours(frames.to(self._dtype), stride=1))) * inside.to(self._dtype)
        x = F.gelu(second(_neighbours(x, stride=2))).float()  # (step of any clip, width)
        halves = [(start // 2, (length + 1) // 2) for start, length in zip(starts, lengths, strict=False)]
        return [x[start : start + steps] + self._positions[:steps] for start, steps in halves]


def _neighbours(frames: Tensor, stride: int) -> Tensor:
    """`(frame, width)` to `(frame / stride, 3 * width)`: each between the one before and the one behind."""
    return F.pad(frames, (0, 0, 1, 1)).unfold(0, 3, stride).transpose(1, 2).flatten(1)


@dataclass(frozen=True)
class _Affine:
    """Weights of a matrix product."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.Linear, dtype: torch.dtype) -> "_Affine":
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


def _of_neighbours(layer: nn.Conv1d, dtype: torch.dtype) -> _Affine:
    """A convolution over three frames, for what `_neighbours` puts side by side."""
    assert layer.bias is not None
    weight = layer.weight.detach().transpose(1, 2).flatten(1)  # (width, 3 * channels)
    return _Affine(weight.to(dtype), layer.bias.detach().to(dtype))


@dataclass(frozen=True)
class _Layer:
    """A transformer layer on the steps of several clips."""

    heads: int
    before_attention: nn.LayerNorm
    to_attention: _Affine  # query, key and value, one under the other
    from_attention: _Affine
    before_feed: nn.LayerNorm
    widen: _Affine
    narrow: _Affine

    @classmethod
    def of(cls, layer: EncoderLayer, dtype: torch.dtype) -> "_Layer":
        attention = layer.self_attn
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        biases = [
            torch.zeros(len(part.weight)) if part.bias is None else part.bias.detach() for part in parts
        ]
        weight = torch.cat([part.weight.detach() for part in parts])
        return cls(
            attention.heads,
            layer.self_attn_layer_norm,
            _Affine(weight.to(dtype), torch.cat(biases).to(dtype)),
            _Affine.of(attention.out_proj, dtype),
            layer.final_layer_norm,
            _Affine.of(layer.fc1, dtype),
            _Affine.of(layer.fc2, dtype),
        )

    def __call__(self, x: Tensor, steps: list[int]) -> Tensor:
        """`(step of any clip, width)` to the same; what lies behind the clips' `steps` attends to nothing."""
        queries_keys_values = self.to_attention(self.before_attention(x))
        *clips, rest = torch.split(queries_keys_values, [*steps, len(x) - sum(steps)])
        attended = [self._attend(clip) for clip in clips]
        x = x + self.from_attention(torch.cat([*attended, rest[:, : x.shape[1]]]))
        return x + self.narrow(F.gelu(self.widen(self.before_feed(x))))

    def _attend(self, clip: Tensor) -> Tensor:
        """`(step, 3 * width)` of one clip to `(step, width)`."""
        query, key, value = clip.view(len(clip), 3, self.heads, -1).permute(1, 2, 0, 3)[:, None]
        attended = F.scaled_dot_product_attention(query, key, value)  # (1, head, step, width / heads)
        return attended[0].transpose(0, 1).flatten(1)


def _mean_and_deviation(states: Tensor) -> Tensor:
    """`(layer, step, width)` of one clip to `(layer * 2 * width,)`, as `blocks.mean_and_deviation`."""
    mean = states.mean(1, keepdim=True)
    variance = (states - mean).square().mean(1)
    return torch.cat([mean[:, 0], (variance + 1e-5).sqrt()], dim=-1).flatten()

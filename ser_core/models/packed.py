"""Runs the default model's encoder on a CPU: clips of any lengths in one batch, without padding.

The steps of all clips are concatenated, so that each layer needs one large matrix product. Attention, pooling
and the branch CAM++ are computed clip by clip, the last by ONNX Runtime on several threads, where that has
its weights. The result for a clip does not depend on the other clips, to the last bit, because a row of a
product does not depend on the number of rows. The exception is bfloat16 with AMX, which changes a probability
by about a thousandth; products with a fixed number of rows would be slower.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models.campplus import BANDS, fold
from ser_core.models.whisper import EncoderLayer
from ser_core.models.whisper_adaptive import WhisperAdaptive

if TYPE_CHECKING:
    from ser_core.models.voice_networks import VoiceNetworks

# oneDNN, which multiplies in bfloat16, compiles code for each number of rows and caches some of it.
ROWS = {torch.float32: 1, torch.bfloat16: 32}  # the number of rows is a multiple of this


class PackedEmbedder:
    """Computes `WhisperAdaptive.embed` for inference, matrices and convolutions in `dtype`.

    Residual sums, norms and pooling are float32 in any case.
    """

    def __init__(
        self, model: WhisperAdaptive, dtype: torch.dtype, networks: "VoiceNetworks | None" = None
    ) -> None:
        """`networks`: whose lower part has the weights of the branch CAM++; None: PyTorch computes it."""
        self._networks = networks
        self._has_campplus = model.campplus is not None
        self._campplus = None
        if model.campplus is not None and networks is None:
            self._campplus = fold(deepcopy(model.campplus).eval())
        encoder, self._read_layers = model.encoder, model.read_layers
        self._dtype = dtype
        self._convolutions = [Affine.of(encoder.conv1, dtype), Affine.of(encoder.conv2, dtype)]
        self._positions = encoder.embed_positions.weight.detach()
        self._layers = [_Layer.of(layer, dtype) for layer in encoder.layers]  # type: ignore[arg-type]

    def __call__(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings `(batch, size)` of features `(batch, band, frame)` with lengths in frames."""
        embeddings = self.whisper(features, lengths)
        if not self._has_campplus:
            return embeddings
        clips = [row[BANDS:, :length] for row, length in zip(features, lengths.tolist(), strict=True)]
        voices = [_mean_and_deviation(states[None]) for states in self._lower(clips)]
        return torch.cat([embeddings, torch.stack(voices)], dim=-1)

    def _lower(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """The hidden states `(step, 1024)` of CAM++'s lower part for filterbanks `(80, frame)`."""
        if self._networks is None:
            assert self._campplus is not None
            return [self._campplus(clip[None])[0][0] for clip in clips]
        rows = [clip.T.contiguous().numpy() for clip in clips]
        return [torch.from_numpy(states) for states in self._networks.pool.map(self._networks.lower, rows)]

    def whisper(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The part of the embeddings that Whisper's layers give, of the same features."""
        rows = [
            self._stem(row[:BANDS, :length]) for row, length in zip(features, lengths.tolist(), strict=True)
        ]
        steps = [len(row) for row in rows]
        fill = -sum(steps) % ROWS[self._dtype]
        x = F.pad(torch.cat(rows), (0, 0, 0, fill))  # (step of any clip, width)
        states = [x]
        for layer in self._layers:
            x = layer(x, steps)
            states.append(x)
        selected = torch.stack(states[-self._read_layers :])  # (layer, step of any clip, width)
        split = torch.split(selected, [*steps, fill], dim=1)[:-1]
        return torch.stack([_mean_and_deviation(clip) for clip in split])

    def _stem(self, clip: Tensor) -> Tensor:
        """Log-mel `(80, frame)` to `(step, width)`, 20 ms a step."""
        first, second = self._convolutions
        x = F.gelu(F.conv1d(clip[None].to(self._dtype), first.weight, first.bias, padding=1))
        x = F.gelu(F.conv1d(x, second.weight, second.bias, stride=2, padding=1))[0].T
        return x.float() + self._positions[: len(x)]


class Affine(NamedTuple):
    """Weights of a matrix product or of a convolution."""

    weight: Tensor  # (out, in), of a convolution (out, in, kernel)
    bias: Tensor  # (out,)

    @classmethod
    def of(cls, layer: nn.Linear | nn.Conv1d, dtype: torch.dtype) -> "Affine":
        """Those of `layer`, which has a bias, in `dtype`."""
        assert layer.bias is not None
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """`(row, in)` to `(row, out)`, of matrices."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


@dataclass(frozen=True)
class _Layer:
    """A transformer layer on the steps of several clips."""

    heads: int
    before_attention: nn.LayerNorm
    to_attention: Affine  # query, key and value, stacked
    from_attention: Affine
    before_feed: nn.LayerNorm
    widen: Affine
    narrow: Affine

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
            Affine(weight.to(dtype), torch.cat(biases).to(dtype)),
            Affine.of(attention.out_proj, dtype),
            layer.final_layer_norm,
            Affine.of(layer.fc1, dtype),
            Affine.of(layer.fc2, dtype),
        )

    def __call__(self, x: Tensor, steps: list[int]) -> Tensor:
        """`(step of any clip, width)` to the same; rows beyond the clips' `steps` are not attended."""
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

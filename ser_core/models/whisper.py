"""Whisper's encoder with a small emotion head.

The encoder is that of Radford et al. (2022), "Robust speech recognition via large-scale weak supervision";
its parameters have the same names as on the Hugging Face hub, so that published weights load unchanged.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models import pretrained
from ser_core.models.blocks import LONGEST_PERIOD, AttentiveStatistics
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import frame_mask

MAX_STEPS = 1500  # encoder steps of 20 ms: the 30 s for which Whisper has positions


class SelfAttention(nn.Module):
    """Multi-head self-attention with a padding mask; keys have no bias, as in Whisper."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """`(batch, step, width)` to the same; `valid` `(batch, step)` is False for padding."""
        batch, steps, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, steps, self.heads, -1).transpose(1, 2)  # (batch, head, step, width / heads)

        query, key, value = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None])
        out: Tensor = self.out_proj(attended.transpose(1, 2).reshape(batch, steps, width))
        return out


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, width: int, heads: int, cells: int) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = SelfAttention(width, heads)
        self.final_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, cells)
        self.fc2 = nn.Linear(cells, width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """`(batch, step, width)` to the same."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), valid)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class WhisperEncoder(nn.Module):
    """Log-mel `(batch, 80, frame)` to the hidden states of every layer, one step per 20 ms."""

    def __init__(self, width: int, heads: int, layers: int, cells: int | None = None) -> None:
        """`cells`: hidden cells of each feed-forward network; default 4 * `width`, as in Whisper."""
        super().__init__()
        self.conv1 = nn.Conv1d(80, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(MAX_STEPS, width)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, cells or 4 * width) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Hidden states `(batch, step, width)` before and after every layer, and the mask of valid steps."""
        inside = frame_mask(lengths, features.shape[-1])[:, None]
        x = F.gelu(self.conv1(features)) * inside
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.embed_positions(torch.arange(x.shape[1], device=x.device))
        valid = frame_mask((lengths + 1) // 2, x.shape[1])
        states = [x]
        for layer in self.layers:
            x = layer(x, valid)
            states.append(x)
        states[-1] = self.layer_norm(states[-1])
        return states, valid


class WhisperClassifier(nn.Module):
    """Whisper encoder, layer-weighted sum, attentive mean and deviation, two dense layers.

    Unlike Whisper, clips are not padded to 30 s: the position table is cut to their length, and padding is
    masked.
    `tiny` has 8.2 M encoder parameters, `base` 20.6 M.
    """

    features = FeatureSpec(n_mels=80, normalization="whisper")

    def __init__(
        self, num_classes: int, width: int, heads: int, layers: int, dropout: float = 0.3, hidden: int = 256
    ) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(width, heads, layers)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers + 1))
        self.layer_weights = nn.Parameter(torch.zeros(layers + 1))
        self.pool = AttentiveStatistics(width)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )

    @classmethod
    def tiny(cls, num_classes: int, dropout: float = 0.3) -> "WhisperClassifier":
        """With the encoder of whisper-tiny."""
        return cls(num_classes, width=384, heads=6, layers=4, dropout=dropout)

    @classmethod
    def base(cls, num_classes: int, dropout: float = 0.3) -> "WhisperClassifier":
        """With the encoder of whisper-base."""
        return cls(num_classes, width=512, heads=8, layers=6, dropout=dropout)

    def load_pretrained(self, name_or_path: str | Path) -> None:
        """Loads the encoder, from `openai/whisper-tiny` or `-base`, or a file with the hub's key names.

        Keys other than `model.encoder.…` (the decoder's) are ignored. Raises PretrainedError, with code
        `wrong_weights` if the file is for another size.
        """
        path = pretrained.locate(name_or_path)
        weights = pretrained.read_tensors(path, "model.encoder.")
        pretrained.load_into(self.encoder, weights, path, "this encoder")
        self.encoder.embed_positions.requires_grad_(False)  # sinusoids, which are not learned

    def pretrained_parts(self) -> list[nn.Module]:
        """The modules that `load_pretrained` fills and training may change: stem, then layer by layer."""
        encoder = self.encoder
        top = nn.ModuleList([encoder.layers[-1], encoder.layer_norm])
        return [nn.ModuleList([encoder.conv1, encoder.conv2]), *encoder.layers[:-1], top]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 80, frame)` and lengths in frames."""
        states, valid = self.encoder(features, lengths)
        weights = self.layer_weights.softmax(0)
        mixed = sum(
            (weight * norm(state) for weight, norm, state in zip(weights, self.norms, states, strict=True)),
            start=torch.zeros((), device=features.device),
        )
        logits: Tensor = self.head(self.pool(mixed, valid))
        return logits


class ComputedPositions(nn.Module):
    """Whisper's positions, computed: sines, then cosines, of geometric periods; `weight` `(step, width)`."""

    weight: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        count = width // 2
        rates = LONGEST_PERIOD ** -(torch.arange(count) / (count - 1))
        self.rates: Tensor
        self.register_buffer("rates", rates, persistent=False)
        self.register_buffer("weight", self.at(torch.arange(MAX_STEPS)), persistent=False)

    def at(self, steps: Tensor) -> Tensor:
        """Positions `(step, width)` of `steps` `(step,)`, computed."""
        angles = steps[:, None] * self.rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    def forward(self, steps: Tensor) -> Tensor:
        """As `at`, looked up."""
        return self.weight[steps]

"""Speech encoders wav2vec 2.0, HuBERT and WavLM from torchaudio, with a small emotion head."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models import pretrained, torchaudio_import
from ser_core.models.blocks import AttentiveStatistics
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import frame_mask

published = torchaudio_import.load().models

MIN_SAMPLES = 400  # 25 ms, which the convolutions need for one step
HIDDEN = 256  # width of the head
# By names of torchaudio.pipelines, whose weights fit the models that these functions build.
ENCODERS: dict[str, Callable[[], Any]] = {
    "WAV2VEC2_BASE": published.wav2vec2_base,
    "WAV2VEC2_LARGE": published.wav2vec2_large,
    "WAV2VEC2_LARGE_LV60K": published.wav2vec2_large_lv60k,
    "WAV2VEC2_XLSR53": published.wav2vec2_large_lv60k,
    "WAV2VEC2_XLSR_300M": published.wav2vec2_xlsr_300m,
    "HUBERT_BASE": published.hubert_base,
    "HUBERT_LARGE": published.hubert_large,
    "WAVLM_BASE": published.wavlm_base,
    "WAVLM_BASE_PLUS": published.wavlm_base,
    "WAVLM_LARGE": published.wavlm_large,
}


class SpeechEncoder(nn.Module):
    """Self-supervised speech encoder, layer-weighted sum, attentive mean and deviation, two dense layers.

    Baevski et al. (2020), "wav2vec 2.0"; Hsu et al. (2021), "HuBERT"; Chen et al. (2022), "WavLM"; the sum
    over layers follows Yang et al. (2021), "SUPERB". Departures: every utterance has zero mean and unit
    variance. The base encoders were trained without that, but it has no effect on them, because their first
    normalisation removes level and offset. That normalisation over time uses the valid samples only, so
    padding has no effect. Layers are not dropped at random, because the sum needs all of them.

    `bundle`: a name in `ENCODERS`. `layers`: number of layers, from the input on; all by default. The lower
    and middle layers hold most information on emotion. `frozen`: only the head and the weights of the sum are
    trained. Raises ValueError for an unknown bundle and for more layers than the encoder has.
    """

    features = FeatureSpec(kind="waveform", hop_length=1)

    def __init__(
        self,
        num_classes: int,
        bundle: str = "WAV2VEC2_BASE",
        layers: int | None = None,
        frozen: bool = False,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if bundle not in ENCODERS:
            raise ValueError(f"no speech encoder is called {bundle!r}; known: {', '.join(ENCODERS)}")
        self.frozen = frozen
        self.backbone: Any = ENCODERS[bundle]()  # torchaudio's Wav2Vec2Model
        transformer = self.backbone.encoder.transformer
        if layers is not None and not 0 < layers <= len(transformer.layers):
            raise ValueError(f"{bundle} has {len(transformer.layers)} layers, not {layers}")
        transformer.layers = transformer.layers[:layers]
        self.backbone.requires_grad_(not frozen)
        self.width = transformer.pos_conv_embed.embed_dim
        self.layer_weights = nn.Parameter(torch.zeros(len(transformer.layers) + 1))
        self.pool = AttentiveStatistics(self.width, score_bias=False)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * self.width, HIDDEN),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, num_classes),
        )

    def train(self, mode: bool = True) -> "SpeechEncoder":
        """Training mode, in which a frozen encoder's dropout stays off."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def load_pretrained(self, name_or_path: str | Path) -> None:
        """Loads the encoder's weights, from a bundle's name or a file with torchaudio's key names.

        Layers that this model does not have and a head for transcripts are ignored. Raises PretrainedError.
        """
        path = pretrained.locate(name_or_path)
        num_layers, prefix = len(self.layer_weights) - 1, "encoder.transformer.layers."
        weights = {
            name: value
            for name, value in pretrained.read_tensors(path).items()
            if not name.startswith("aux.")
            and not (name.startswith(prefix) and int(name.removeprefix(prefix).split(".")[0]) >= num_layers)
        }
        pretrained.load_into(self.backbone, weights, path, "this speech encoder")

    def pretrained_parts(self) -> list[nn.Module]:
        """The modules that `load_pretrained` fills: all below the transformer, then its layers."""
        encoder = self.backbone.encoder
        transformer = encoder.transformer
        below = [self.backbone.feature_extractor, encoder.feature_projection, transformer.pos_conv_embed]
        *lower, top = transformer.layers
        if transformer.layer_norm_first:
            return [nn.ModuleList([*below, transformer.layer_norm]), *lower, top]
        return [nn.ModuleList(below), *lower, nn.ModuleList([top, transformer.layer_norm])]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from samples `(batch, 1, sample)` and lengths in samples."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            steps, lengths = self._convolve(features, lengths)
            valid = frame_mask(lengths, steps.shape[1])
            states = self._transform(steps, valid)
        weights = self.layer_weights.softmax(0)
        mixed = torch.zeros((), device=features.device)
        for weight, state in zip(weights, states, strict=True):
            mixed = mixed + weight * F.layer_norm(state, (self.width,))
        logits: Tensor = self.head(self.pool(mixed, valid))
        return logits

    def _convolve(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Steps of 20 ms `(batch, step, channel)` and their number `(batch,)`; no step uses padding."""
        x = F.pad(samples, (0, max(0, MIN_SAMPLES - samples.shape[-1])))
        lengths = lengths.clamp(min=MIN_SAMPLES)
        first, *others = self.backbone.feature_extractor.conv_layers
        if isinstance(first.layer_norm, nn.GroupNorm):
            lengths = (lengths - first.kernel_size) // first.stride + 1
            x = F.gelu(_norm_over_time(first.conv(x), lengths, first.layer_norm))
        else:
            x, lengths = first(x, lengths)
        for layer in others:
            x, lengths = layer(x, lengths)
        return x.transpose(1, 2), lengths

    def _transform(self, steps: Tensor, valid: Tensor) -> list[Tensor]:
        """Hidden states `(batch, step, width)` before and after every layer.

        Unlike torchaudio's own loop, this one passes the padding mask to WavLM.
        """
        encoder = self.backbone.encoder
        transformer = encoder.transformer
        x = encoder.feature_projection(steps) * valid[..., None]
        x = x + transformer.pos_conv_embed(x)
        if transformer.layer_norm_first:
            x = transformer.layer_norm(x)
        x = transformer.dropout(x)
        attention_mask = valid[:, None, None].expand(-1, 1, x.shape[1], -1)  # (batch, 1, step, step)
        padding_mask = torch.zeros(valid.shape, device=x.device).masked_fill(~valid, -torch.inf)
        states, bias = [x], None
        for layer in transformer.layers:
            if hasattr(layer.attention, "compute_bias"):  # WavLM: positions relative to each other
                x, bias = layer(x, position_bias=bias, key_padding_mask=padding_mask)
            else:
                x, _ = layer(x, attention_mask=attention_mask)
            states.append(x)
        if not transformer.layer_norm_first:
            states[-1] = transformer.layer_norm(x)
        return states


def _norm_over_time(x: Tensor, lengths: Tensor, norm: nn.GroupNorm) -> Tensor:
    """`norm` (one group per channel) over each row's valid steps: `(batch, channel, step)` to the same."""
    inside = frame_mask(lengths, x.shape[-1])[:, None]
    count = lengths[:, None, None]
    mean = (x * inside).sum(-1, keepdim=True) / count
    variance = ((x - mean).square() * inside).sum(-1, keepdim=True) / count
    scaled = (x - mean) / (variance + norm.eps).sqrt()
    return scaled * norm.weight[:, None] + norm.bias[:, None]

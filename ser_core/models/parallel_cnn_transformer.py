"""A CNN and a transformer side by side on one log-mel spectrogram."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.features import FeatureSpec, frame_mask
from ser_core.models.blocks import MaskedConvBlock, masked_adaptive_mean, masked_mean

CNN_CHANNELS = (16, 32, 64, 64)
CNN_POOLS = (2, 4, 4, 4)  # 128 in both directions: one band is left of 128
TIME_BINS = 4  # steps the CNN has left at the published size, 563 frames
TRANSFORMER_POOL = (2, 4)  # bands, frames


class ParallelCnnTransformer(nn.Module):
    """Four convolution blocks ∥ four transformer layers, concatenated, one linear layer.

    After the parallel CNN-transformer of Bautista, Lee and Shin (2022), "Speech emotion recognition based on
    parallel CNN-attention networks with multi-fold data augmentation", Electronics 11(23) 3935; 395,176
    parameters with 8 classes. Departures: features at 16 kHz (5 ms hop, close to the published 5.3 ms), and
    any length of speech instead of 3 s: padding is masked and the CNN's last steps are averaged into four
    bins, which changes nothing at the published length. Shorter than 128 frames is padded to 128.
    """

    features = FeatureSpec(n_fft=512, hop_length=80, n_mels=128)

    def __init__(self, num_classes: int, dropout: float = 0.3, transformer_dropout: float = 0.4) -> None:
        super().__init__()
        channels = (1, *CNN_CHANNELS)
        self.cnn = nn.ModuleList(
            MaskedConvBlock(channels[i], channels[i + 1], pool, dropout) for i, pool in enumerate(CNN_POOLS)
        )
        width = self.features.n_mels // TRANSFORMER_POOL[0]
        layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=512, dropout=transformer_dropout, batch_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, num_layers=4, enable_nested_tensor=False)
        self.head = nn.Linear(CNN_CHANNELS[-1] * TIME_BINS + width, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        shortest = 128
        features = F.pad(features, (0, max(0, shortest - features.shape[-1])))
        lengths = lengths.clamp(min=shortest)
        image, steps = features[:, None], lengths
        for block in self.cnn:
            image, steps = block(image, steps)
        local = masked_adaptive_mean(image.squeeze(2), steps, TIME_BINS).flatten(1)

        pooled = F.max_pool2d(features[:, None], TRANSFORMER_POOL).squeeze(1)
        pooled = pooled.transpose(1, 2)  # (batch, step, 64)
        valid = frame_mask(lengths // TRANSFORMER_POOL[1], pooled.shape[1])
        context = masked_mean(self.transformer(pooled, src_key_padding_mask=~valid), valid)
        logits: Tensor = self.head(torch.cat([local, context], dim=-1))
        return logits

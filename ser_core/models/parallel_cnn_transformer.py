"""A CNN and a transformer side by side on one log-mel spectrogram."""

import torch
from torch import Tensor, nn

from ser_core.models.blocks import LOG_MEL_128, ConvStack, MaskedTransformer, pooled_sequence, time_bins

CNN_CHANNELS = (16, 32, 64, 64)
CNN_POOLS = (2, 4, 4, 4)  # factor 128 in both directions: 128 bands become one
TIME_BINS = 4  # CNN steps of the published size, 563 frames
TRANSFORMER_POOL = (2, 4)  # bands, frames


class ParallelCnnTransformer(nn.Module):
    """Four convolution blocks ∥ four transformer layers, concatenated, one linear layer.

    After the parallel CNN-transformer of Bautista, Lee and Shin (2022), "Speech emotion recognition based on
    parallel CNN-attention networks with multi-fold data augmentation", Electronics 11(23) 3935; 395,176
    parameters with 8 classes. Departures: features at 16 kHz (5 ms hop, close to the published 5.3 ms), and
    any length of speech instead of 3 s: padding is masked and the CNN's last steps are averaged into four
    bins, which changes nothing at the published length. `positions` adds a position encoding, which the
    published network does not have.
    """

    features = LOG_MEL_128

    def __init__(
        self,
        num_classes: int,
        dropout: float = 0.3,
        transformer_dropout: float = 0.4,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.cnn = ConvStack(CNN_CHANNELS, CNN_POOLS, dropout)
        width = self.features.bands // TRANSFORMER_POOL[0]
        self.transformer = MaskedTransformer(width, 4, transformer_dropout, positions)
        self.head = nn.Linear(CNN_CHANNELS[-1] * TIME_BINS + width, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        local = time_bins(self.cnn(features, lengths), TIME_BINS)
        context = self.transformer(*pooled_sequence(features, lengths, *TRANSFORMER_POOL))
        logits: Tensor = self.head(torch.cat([local, context], dim=-1))
        return logits

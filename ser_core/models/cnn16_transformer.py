"""A CNN that starts with 16 channels and a transformer, side by side on one log-mel spectrogram."""

import torch
from torch import Tensor, nn

from ser_core.models.blocks import ConvStack, MaskedTransformer, pooled_sequence, time_bins
from ser_core.models.feature_spec import FeatureSpec

CNN_CHANNELS = (16, 32, 64, 64)
CNN_POOLS = (2, (4, 2), (4, 4), (2, 4))  # factor 64 in both directions: 64 bands become one
TIME_BINS = 4  # CNN steps of 3 s
TRANSFORMER_POOL = (1, 4)  # bands, frames
TRANSFORMER_LAYERS = 3


class Cnn16Transformer(nn.Module):
    """Four convolution blocks from 16 channels ∥ three transformer layers, concatenated, one linear layer.

    After the public projects of this lineage, which fix the first block (16 channels, pooled 2×2, dropout
    0.3) and the order of the parts; the other sizes are ours, for 64 bands every 10 ms. Departure: dropout
    comes before the last linear layer, not after it, where it would set logits to zero. `positions` adds a
    position encoding to the transformer.
    """

    features = FeatureSpec(n_mels=64)

    def __init__(
        self,
        num_classes: int,
        dropout: float = 0.3,
        transformer_dropout: float = 0.3,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.cnn = ConvStack(CNN_CHANNELS, CNN_POOLS, dropout)
        width = self.features.bands // TRANSFORMER_POOL[0]
        self.transformer = MaskedTransformer(width, TRANSFORMER_LAYERS, transformer_dropout, positions, 256)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(CNN_CHANNELS[-1] * TIME_BINS + width, num_classes)
        )

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 64, frame)` and lengths in frames."""
        local = time_bins(self.cnn(features, lengths), TIME_BINS)
        context = self.transformer(*pooled_sequence(features, lengths, *TRANSFORMER_POOL))
        logits: Tensor = self.head(torch.cat([local, context], dim=-1))
        return logits

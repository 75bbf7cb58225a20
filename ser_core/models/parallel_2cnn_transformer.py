"""Two CNNs and a transformer side by side on one MFCC matrix."""

import torch
from torch import Tensor, nn

from ser_core.models.blocks import MFCC_40, ConvStack, MaskedTransformer, pooled_sequence, time_bins

CNN_CHANNELS = (16, 32, 64)
CNN_POOLS = (2, 4, 4)  # factor 32 in both directions: 40 rows become one
TIME_BINS = 8  # CNN steps of the published size, 282 frames
TRANSFORMER_POOL = (1, 4)  # coefficients, frames


class Parallel2CnnTransformer(nn.Module):
    """Two stacks of three convolution blocks ∥ four transformer layers on 40 MFCC, one linear layer.

    After the public projects of this lineage; 248,488 parameters with 8 classes. The two CNNs differ
    only in their random initialisation. Departures: features at 16 kHz (10 ms hop, close to the lineage's
    10.7 ms), and any length of speech instead of 3 s: padding is masked and the CNNs' last steps are averaged
    into eight bins, which changes nothing at the lineage's length. `positions` adds a position
    encoding, which the lineage does not have.
    """

    features = MFCC_40

    def __init__(
        self,
        num_classes: int,
        dropout: float = 0.3,
        transformer_dropout: float = 0.4,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.cnns = nn.ModuleList(ConvStack(CNN_CHANNELS, CNN_POOLS, dropout) for _ in range(2))
        width = self.features.bands
        self.transformer = MaskedTransformer(width, 4, transformer_dropout, positions)
        self.head = nn.Linear(2 * CNN_CHANNELS[-1] * TIME_BINS + width, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from MFCC `(batch, 40, frame)` and lengths in frames."""
        local = [time_bins(cnn(features, lengths), TIME_BINS) for cnn in self.cnns]
        context = self.transformer(*pooled_sequence(features, lengths, *TRANSFORMER_POOL))
        logits: Tensor = self.head(torch.cat([*local, context], dim=-1))
        return logits

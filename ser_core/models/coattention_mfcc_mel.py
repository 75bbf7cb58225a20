"""Two CNNs and a transformer on MFCC above log-mel, joined by co-attention."""

import torch
from torch import Tensor, nn

from ser_core.models.blocks import ConvStack, MaskedTransformer, pooled_sequence, time_bins
from ser_core.models.feature_spec import FeatureSpec

CNN_CHANNELS = (16, 32, 64)
CNN_POOLS = (2, 4, 4)  # factor 32 in both directions: 168 rows become 5
CNN_ROWS = 5
TIME_BINS = 8  # CNN steps of 3 s
NEGATIVE_SLOPE = 0.01  # of the LeakyReLU
TRANSFORMER_POOL = (1, 4)  # rows, frames
JOINT = 128  # width in which CNNs and transformer are joined


class CoattentionMfccMel(nn.Module):
    """Two stacks of three convolution blocks, gated into one, gated again with four transformer layers.

    After the public projects of this lineage: 40 MFCC stacked on 128 log-mel bands go to all three branches;
    the CNNs are joined by `co_attention`, projected to 128 as the transformer's mean is, joined with it in
    the same way, and classified by one linear layer. Departures: in the public code 12 of the 14.65 M
    parameters (84 M in another variant) are in layers that are never used; here every parameter has an effect
    on the logits. Speech has any length: padding is masked, and the CNNs' last steps are averaged into eight
    bins, about as many as 3 s have. `positions` adds a position encoding to the transformer.
    """

    features = FeatureSpec(kind="mfcc_log_mel", n_fft=512, n_mels=128, n_mfcc=40)

    def __init__(
        self,
        num_classes: int,
        dropout: float = 0.3,
        transformer_dropout: float = 0.4,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.cnns = nn.ModuleList(
            ConvStack(CNN_CHANNELS, CNN_POOLS, dropout, NEGATIVE_SLOPE) for _ in range(2)
        )
        width = self.features.bands
        self.transformer = MaskedTransformer(width, 4, transformer_dropout, positions)
        self.project_local = nn.Linear(CNN_CHANNELS[-1] * CNN_ROWS * TIME_BINS, JOINT)
        self.project_context = nn.Linear(width, JOINT)
        self.head = nn.Linear(JOINT, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from MFCC above log-mel `(batch, 168, frame)` and lengths in frames."""
        first, second = (time_bins(cnn(features, lengths), TIME_BINS) for cnn in self.cnns)
        local = self.project_local(co_attention(first, second))
        sequence, steps = pooled_sequence(features, lengths, *TRANSFORMER_POOL)
        context = self.project_context(self.transformer(sequence, steps))
        logits: Tensor = self.head(co_attention(local, context))
        return logits


def co_attention(first: Tensor, second: Tensor) -> Tensor:
    """Two representations `(batch, width)` as one: their sum, times a gate (the sigmoid of the sum)."""
    gate = torch.sigmoid(first + second)
    return first * gate + second * gate

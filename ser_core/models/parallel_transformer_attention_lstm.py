"""A CNN, a transformer and a BiLSTM with attention side by side on one log-mel spectrogram."""

import torch
from torch import Tensor, nn

from ser_core.models.blocks import (
    LOG_MEL_128,
    AttentionPooling,
    ConvStack,
    MaskedLstm,
    MaskedTransformer,
    pooled_sequence,
    time_bins,
)

CNN_CHANNELS = (16, 32, 64, 64)
CNN_POOLS = (2, 4, 4, 4)  # 128 in both directions: one band is left of 128
TIME_BINS = 4  # steps the CNN has left of 3 s
SEQUENCE_POOL = (2, 4)  # bands, frames: what the transformer and the LSTM read
TRANSFORMER_LAYERS = 2
HIDDEN = 64  # of the LSTM, each way


class ParallelTransformerAttentionLstm(nn.Module):
    """Four convolution blocks ∥ two transformer layers ∥ BiLSTM with attention, one linear layer.

    The lineage names it "temporal parallel CNN transformer with integrated attention" and leaves the sizes
    open. Here it joins the branches of `parallel_cnn_transformer` and `parallel_cnn_blstm_attention`, the
    latter two at half their size, so that the whole stays as small as one of them. Transformer and LSTM
    complement each other: the one does not know the order of its steps (without `positions`), the other does.
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
        width = self.features.bands // SEQUENCE_POOL[0]
        self.transformer = MaskedTransformer(width, TRANSFORMER_LAYERS, transformer_dropout, positions)
        self.lstm = MaskedLstm(width, HIDDEN, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.attention = AttentionPooling(2 * HIDDEN)
        self.head = nn.Linear(CNN_CHANNELS[-1] * TIME_BINS + width + 2 * HIDDEN, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        local = time_bins(self.cnn(features, lengths), TIME_BINS)
        sequence, steps = pooled_sequence(features, lengths, *SEQUENCE_POOL)
        context = self.transformer(sequence, steps)
        course = self.attention(self.dropout(self.lstm(sequence, steps)), steps)
        logits: Tensor = self.head(torch.cat([local, context, course], dim=-1))
        return logits

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
CNN_POOLS = (2, 4, 4, 4)  # factor 128 in both directions: 128 bands become one
TIME_BINS = 4  # CNN steps of 3 s
SEQUENCE_POOL = (2, 4)  # bands, frames; of the input of transformer and LSTM
TRANSFORMER_LAYERS = 2
HIDDEN = 64  # of the LSTM, per direction


class ParallelTransformerAttentionLstm(nn.Module):
    """Four convolution blocks ∥ two transformer layers ∥ BiLSTM with attention, one linear layer.

    The lineage names it "temporal parallel CNN transformer with integrated attention" and leaves the sizes
    open. Here it joins the branches of `parallel_cnn_transformer` and `parallel_cnn_blstm_attention`, with
    transformer and LSTM at half their size, so that the whole stays as small as one of them. The LSTM depends
    on the order of its steps; the transformer does so only with `positions`, which add a position encoding.
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
        recurrent = self.attention(self.dropout(self.lstm(sequence, steps)), steps)
        logits: Tensor = self.head(torch.cat([local, context, recurrent], dim=-1))
        return logits

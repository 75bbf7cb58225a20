"""A CNN and a BiLSTM with attention side by side on one log-mel spectrogram."""

import torch
from torch import Tensor, nn

from ser_core.models.blocks import (
    LOG_MEL_128,
    AttentionPooling,
    ConvStack,
    MaskedLstm,
    pooled_sequence,
    time_bins,
)

CNN_CHANNELS = (16, 32, 64, 64)
CNN_POOLS = (2, 4, 4, 4)  # factor 128 in both directions: 128 bands become one
TIME_BINS = 4  # CNN steps of the published size, 563 frames
LSTM_POOL = (2, 4)  # bands, frames
HIDDEN = 128  # of the LSTM, per direction


class ParallelCnnBlstmAttention(nn.Module):
    """Four convolution blocks ∥ BiLSTM with attention over time, concatenated, one linear layer.

    After the parallel CNN-BLSTM-attention network of Bautista, Lee and Shin (2022), "Speech emotion
    recognition based on parallel CNN-attention networks with multi-fold data augmentation", Electronics
    11(23) 3935; 263,593 parameters with 8 classes. Departures: features at 16 kHz, any length of speech
    (the backward LSTM starts at each clip's own end, and the CNN's last steps are averaged into four bins,
    which changes nothing at the published length), and a tanh around the attention's score.
    """

    features = LOG_MEL_128

    def __init__(self, num_classes: int, dropout: float = 0.3, lstm_dropout: float = 0.1) -> None:
        super().__init__()
        self.cnn = ConvStack(CNN_CHANNELS, CNN_POOLS, dropout)
        self.lstm = MaskedLstm(self.features.bands // LSTM_POOL[0], HIDDEN, bidirectional=True)
        self.dropout = nn.Dropout(lstm_dropout)
        self.attention = AttentionPooling(2 * HIDDEN)
        self.head = nn.Linear(CNN_CHANNELS[-1] * TIME_BINS + 2 * HIDDEN, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        local = time_bins(self.cnn(features, lengths), TIME_BINS)
        sequence, steps = pooled_sequence(features, lengths, *LSTM_POOL)
        context = self.attention(self.dropout(self.lstm(sequence, steps)), steps)
        logits: Tensor = self.head(torch.cat([local, context], dim=-1))
        return logits

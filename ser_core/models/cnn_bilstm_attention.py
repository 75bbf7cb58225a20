"""MFCC through a CNN, two BiLSTM layers, attention over time and a dense layer."""

from torch import Tensor, nn

from ser_core.models.blocks import MFCC_40, AttentionPooling, ConvStack, MaskedLstm, over_time

CNN_CHANNELS = (32, 64)
CNN_POOLS = ((2, 2), (4, 2))  # coefficients, frames: 40 rows become 5, 10 ms become 40 ms
LSTM_INPUT = 64 * 5
HIDDEN = 64  # of the LSTM, per direction
LSTM_LAYERS = 2


class CnnBilstmAttention(nn.Module):
    """Two convolution blocks on 40 MFCC, two BiLSTM layers, attention over time, one dense layer.

    After the public projects of this lineage, which give the order of the layers; the sizes are ours, small
    enough for a corpus of one or two hours. A second dense layer only slowed training.
    """

    features = MFCC_40

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.cnn = ConvStack(CNN_CHANNELS, CNN_POOLS, dropout)
        self.lstm = MaskedLstm(LSTM_INPUT, HIDDEN, LSTM_LAYERS, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.attention = AttentionPooling(2 * HIDDEN)
        self.head = nn.Linear(2 * HIDDEN, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from MFCC `(batch, 40, frame)` and lengths in frames."""
        x, steps = self.cnn(features, lengths)
        pooled = self.attention(self.dropout(self.lstm(over_time(x), steps)), steps)
        logits: Tensor = self.head(pooled)
        return logits

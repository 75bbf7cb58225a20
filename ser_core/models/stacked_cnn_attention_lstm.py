"""The same CNN on overlapping chunks of a log-mel spectrogram, then BiLSTM and attention over the chunks."""

from torch import Tensor, nn

from ser_core.models.blocks import LOG_MEL_128, AttentionPooling, ChunkCnn, MaskedLstm

CNN_CHANNELS = (16, 32, 64)
CNN_POOLS = (2, 4, 4)  # factor 32 in both directions: a chunk becomes 4 × 4 cells
CHUNK_WIDTH = 64 * 4 * 4
HIDDEN = 64  # of the LSTM, per direction


class StackedCnnAttentionLstm(nn.Module):
    """Three convolution blocks on each chunk of 128 frames, BiLSTM, attention over chunks, one linear layer.

    After the stacked, time-distributed CNN-LSTM with attention of the lineage of Bautista, Lee and Shin
    (2022), Electronics 11(23) 3935; 582,761 parameters with 8 classes. Departures: features at 16 kHz (5 ms
    hop, so that a chunk is 0.64 s and a new one starts every 0.32 s), as many chunks as the speech is long
    instead of the seven that 3 s hold, and a tanh around the attention's score.
    """

    features = LOG_MEL_128

    def __init__(self, num_classes: int, dropout: float = 0.3, lstm_dropout: float = 0.4) -> None:
        super().__init__()
        self.cnn = ChunkCnn(CNN_CHANNELS, CNN_POOLS, dropout)
        self.lstm = MaskedLstm(CHUNK_WIDTH, HIDDEN, bidirectional=True)
        self.dropout = nn.Dropout(lstm_dropout)
        self.attention = AttentionPooling(2 * HIDDEN)
        self.head = nn.Linear(2 * HIDDEN, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        chunks, counts = self.cnn(features, lengths)
        pooled = self.attention(self.dropout(self.lstm(chunks, counts)), counts)
        logits: Tensor = self.head(pooled)
        return logits

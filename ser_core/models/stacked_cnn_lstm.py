"""The same CNN on overlapping chunks of a log-mel spectrogram, then an LSTM over the chunks."""

from torch import Tensor, nn

from ser_core.models.blocks import LOG_MEL_128, ChunkCnn, MaskedLstm, last_valid

CNN_CHANNELS = (16, 32, 64, 128)
CNN_POOLS = (2, 4, 4, 4)  # factor 128 in both directions: a chunk becomes one cell
HIDDEN = 64


class StackedCnnLstm(nn.Module):
    """Four convolution blocks on each chunk of 128 frames, LSTM over chunks, one linear layer.

    After the stacked, time-distributed CNN-LSTM of the lineage of Bautista, Lee and Shin (2022), Electronics
    11(23) 3935; 147,816 parameters with 8 classes. Departures: features at 16 kHz (5 ms hop, so that a chunk
    is 0.64 s and a new one starts every 0.32 s), and as many chunks as the speech is long instead of the
    seven that 3 s hold: the LSTM ends at each clip's own last chunk.
    """

    features = LOG_MEL_128

    def __init__(self, num_classes: int, dropout: float = 0.4, lstm_dropout: float = 0.3) -> None:
        super().__init__()
        self.cnn = ChunkCnn(CNN_CHANNELS, CNN_POOLS, dropout)
        self.lstm = MaskedLstm(CNN_CHANNELS[-1], HIDDEN)
        self.head = nn.Sequential(nn.Dropout(lstm_dropout), nn.Linear(HIDDEN, num_classes))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        chunks, counts = self.cnn(features, lengths)
        logits: Tensor = self.head(last_valid(self.lstm(chunks, counts), counts))
        return logits

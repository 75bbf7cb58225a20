"""The baseline architecture: a CNN, then an LSTM over time."""

from torch import Tensor, nn

from ser_core.models.blocks import ConvStack, MaskedLstm, last_valid, over_time
from ser_core.models.feature_spec import FeatureSpec

CNN_CHANNELS = (32, 64, 128)
CNN_POOLS = ((4, 1), (4, 2), (4, 2))  # bands, frames: 64 bands become one, 10 ms become 40 ms
HIDDEN = 128


class CnnLstm(nn.Module):
    """Three convolution blocks over 64 log-mel bands, LSTM, one linear layer on the last valid step.

    The lineage names this baseline but publishes no model of it; the sizes are ours. All bands are pooled
    into one, while time keeps steps of 40 ms for the LSTM, about the length of a short phone.
    """

    features = FeatureSpec(n_mels=64)

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.cnn = ConvStack(CNN_CHANNELS, CNN_POOLS, dropout)
        self.lstm = MaskedLstm(CNN_CHANNELS[-1], HIDDEN)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(HIDDEN, num_classes))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 64, frame)` and lengths in frames."""
        x, steps = self.cnn(features, lengths)
        logits: Tensor = self.head(last_valid(self.lstm(over_time(x), steps), steps))
        return logits

"""A fine-tuned Whisper classifier, averaged with a linear probe of the published encoder."""

import math

import torch
from torch import Tensor, nn

from ser_core.models.blocks import mean_and_deviation
from ser_core.models.whisper import WhisperClassifier, WhisperEncoder


class WhisperProbe(nn.Module):
    """The mean of two classifiers: a fine-tuned encoder, and a linear one on the published encoder.

    Fine-tuning fits the corpora and loses some of the pretrained knowledge of other voices. The probe (Alain
    & Bengio 2016, "Understanding intermediate layers using linear classifier probes") keeps it. Its input is
    mean and deviation over time of every layer. Logits are the logarithm of the averaged probabilities.
    """

    features = WhisperClassifier.features

    def __init__(self, num_classes: int, width: int, heads: int, layers: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.tuned = WhisperClassifier(num_classes, width, heads, layers, dropout)
        self.published = WhisperEncoder(width, heads, layers)
        size = 2 * width * (layers + 1)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(size))  # of the statistics, over the training clips
        self.register_buffer("scale", torch.ones(size))
        self.probe = nn.Linear(size, num_classes)

    @classmethod
    def tiny(cls, num_classes: int, dropout: float = 0.3) -> "WhisperProbe":
        """With the encoders of whisper-tiny, twice 8.2 M parameters."""
        return cls(num_classes, width=384, heads=6, layers=4, dropout=dropout)

    def statistics(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Mean and deviation over time of every published layer, `(batch, 2 * width * (layers + 1))`."""
        states, valid = self.published(features, lengths)
        return torch.cat([mean_and_deviation(state, valid) for state in states], dim=-1)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Log-probabilities `(batch, class)` from log-mel `(batch, 80, frame)` and lengths in frames."""
        tuned = self.tuned(features, lengths).log_softmax(-1)
        probed = self.probe((self.statistics(features, lengths) - self.mean) / self.scale).log_softmax(-1)
        return torch.logaddexp(tuned, probed) - math.log(2)

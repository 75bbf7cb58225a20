"""Baselines for speed: the pipeline of earlier projects ("lineage"), and an encoder of wav2vec2-base size.

Both get the same clips as SER Studio, one at a time, as their public code does. The weights are random,
because only the cost is measured.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import nn

from ser_core.audio.vad import segment
from ser_core.audio.waveform import Waveform

# The lineage's features: 3 s at 48 kHz, which give 282 frames.
LINEAGE_RATE, LINEAGE_WINDOW_S, LINEAGE_MFCC, LINEAGE_FFT, LINEAGE_HOP = 48_000, 3.0, 40, 1024, 512
LINEAGE = "librosa.load, librosa.feature.mfcc and parallel_2cnn_transformer, one 3 s clip at a time"
WHOLE_JOB = "the same, finding speech in the file first, as SER Studio does"
WAV2VEC2 = "torchaudio's wav2vec2_base (94.4 M parameters), one clip at a time"


def lineage(clips: Sequence[Path]) -> Callable[[], None]:
    """Analyses `clips` with the lineage's pipeline, which uses 3 s of each."""
    import librosa

    network = LineageNetwork().eval()

    def run() -> None:
        for path in clips:
            _recognise(network, librosa.load(path, sr=LINEAGE_RATE, duration=LINEAGE_WINDOW_S)[0])

    return run


def whole_job(path: Path) -> Callable[[], None]:
    """Analyses one recording with the lineage's pipeline, on segments found by SER Studio."""
    import librosa

    network = LineageNetwork().eval()

    def run() -> None:
        samples, rate = soundfile.read(path, dtype="float32")
        for span in segment(Waveform(samples, rate)):
            clip = samples[span.start : span.end][: int(LINEAGE_WINDOW_S * rate)]
            _recognise(network, librosa.resample(clip, orig_sr=rate, target_sr=LINEAGE_RATE))

    return run


def _recognise(network: nn.Module, samples: NDArray[np.float32]) -> None:
    """Runs the lineage's network on one clip at `LINEAGE_RATE`."""
    import librosa

    window = int(LINEAGE_WINDOW_S * LINEAGE_RATE)
    samples = np.pad(samples[:window], (0, max(0, window - len(samples))))
    mfcc = librosa.feature.mfcc(
        y=samples, sr=LINEAGE_RATE, n_mfcc=LINEAGE_MFCC, n_fft=LINEAGE_FFT, hop_length=LINEAGE_HOP
    )
    with torch.inference_mode():
        network(torch.from_numpy(mfcc)[None]).softmax(-1)


def wav2vec2(clips: Sequence[Path]) -> Callable[[], None]:
    """Computes the hidden states of all `clips`, and their mean over time."""
    from torchaudio.models import wav2vec2_base

    encoder = wav2vec2_base().eval()

    def run() -> None:
        for path in clips:
            samples, _ = soundfile.read(path, dtype="float32")
            with torch.inference_mode():
                encoder.extract_features(torch.from_numpy(samples)[None])[0][-1].mean(1)

    return run


class LineageNetwork(nn.Module):
    """`parallel_2cnn_transformer` as published: 248,488 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = _stack(), _stack()
        self.pool = nn.MaxPool2d((1, 4))
        layer = nn.TransformerEncoderLayer(LINEAGE_MFCC, 4, 512, dropout=0.4, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, 4)
        self.head = nn.Linear(512 + 512 + LINEAGE_MFCC, 8)

    def forward(self, mfcc: torch.Tensor) -> torch.Tensor:
        """Logits `(batch, 8)` of `(batch, 40, 282)`."""
        image = mfcc[:, None]  # (batch, 1, coefficient, frame)
        steps = self.pool(image)[:, 0].transpose(1, 2)  # (batch, step, coefficient)
        parts = [self.first(image), self.second(image), self.transformer(steps).mean(1)]
        return self.head(torch.cat(parts, 1))


def _stack() -> nn.Sequential:
    """Three convolution blocks, whose output is flattened."""
    layers: list[nn.Module] = []
    for channels_in, channels_out, pool in ((1, 16, 2), (16, 32, 4), (32, 64, 4)):
        convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        layers += [convolution, nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(pool), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.Flatten())  # (batch, 512)

"""Explains a label: how much each time-frequency region of the speech contributed to it.

Integrated gradients (Sundararajan et al. 2017, "Axiomatic attribution for deep networks") from the mean
spectrum of the utterance to the utterance itself. The mean is the baseline because it keeps the level and the
timbre of the voice: if it replaces a random tenth of the spectrogram, the probability hardly changes. If the
floor of the features (silence) replaces a random tenth, the probability loses a third. Occlusion takes ten
times as long for a coarser map.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ser_core.audio.speech import Samples
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.checkpoint import calibration
from ser_core.errors import CodedError
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import KALDI_F_MIN
from ser_core.recognition.recognizer import Recognizer, Runtime
from ser_core.recognition.torch_runtime import TorchRuntime

STEPS = 8  # Gauss-Legendre points of the integral; 16 give the same regions in twice the time
REGION_BANDS, REGION_S = 8, 0.1  # size of a `Region`: a tenth of 80 mel bands, a tenth of a second
CUDNN = Lock()  # held while cuDNN is off


class ExplainError(CodedError):
    """A label that cannot be explained."""


@dataclass(frozen=True)
class Saliency:
    """The contribution of each cell of the log-mel spectrogram to the probability of a label.

    `values` are zero where the audio does not differ from its mean, as in silence. Compare them only with
    each other: with so few `STEPS`, their sum is not exactly the change of the probability.
    """

    values: NDArray[np.float32]  # (band, frame); positive: for the label, negative: against it
    band_hz: NDArray[np.float32]  # (band,), centre of each mel band
    time_s: NDArray[np.float32]  # (frame,), centre of each frame from the start of the speech
    label: str
    probability: float  # of the label, 0 to 1


@dataclass(frozen=True)
class Region:
    """A rectangle of the spectrogram and its contribution to the label."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    value: float  # sum of its cells; negative: against the label


def explain(recognizer: Recognizer, samples: Samples, label: str | None = None) -> Saliency:
    """The saliency of `label` in `samples`, speech at 16 kHz, shape `(n_samples,)`.

    `label` defaults to the most probable one. Speech longer than the model's window is explained in the same
    parts in which it is recognised.

    Raises ExplainError with code `empty`, `unknown_label`, `no_spectrogram` (the model reads no log-mel) or
    `no_gradients` (it does not run with torch).
    """
    bundle = recognizer.bundle
    if not isinstance(recognizer.runtime, TorchRuntime):
        raise ExplainError("no_gradients", "labels are explained with torch: use --runtime torch")
    if bundle.features.kind not in ("log_mel", "log_mel_fbank"):
        raise ExplainError(
            "no_spectrogram",
            f"{bundle.name} reads {bundle.features.kind}, not a log-mel spectrogram: use another model",
        )
    if not len(samples):
        raise ExplainError("empty", "there is no sound to explain: choose a longer stretch")
    if label is not None and label not in bundle.labels:
        raise ExplainError(
            "unknown_label", f"{bundle.name} does not know {label!r}: {', '.join(bundle.labels)}"
        )
    probabilities = recognizer.probabilities([samples])[0]
    target = int(probabilities.argmax()) if label is None else bundle.labels.index(label)
    windows = np.array_split(samples, ceil(len(samples) / int(bundle.window_s * SAMPLE_RATE)))
    maps = [recognizer.compute(partial(_attribute, window, target)) / len(windows) for window in windows]
    hop_s = bundle.features.hop_length / SAMPLE_RATE
    starts_s = np.cumsum([0, *map(len, windows)]) / SAMPLE_RATE
    times = [start + hop_s * np.arange(part.shape[1]) for start, part in zip(starts_s, maps, strict=False)]
    return Saliency(
        values=np.concatenate(maps, axis=1),
        band_hz=_band_hz(bundle.features),
        time_s=np.concatenate(times).astype(np.float32),
        label=bundle.labels[target],
        probability=float(probabilities[target]),
    )


def top_region(saliency: Saliency, against: bool = False) -> Region | None:
    """The region with the largest contribution for the label, or `against` it; None if there is none."""
    values = -saliency.values if against else saliency.values
    bands, frames = values.shape
    frames_each = max(1, int(np.searchsorted(saliency.time_s, REGION_S)))
    rows, columns = np.arange(0, bands, REGION_BANDS), np.arange(0, frames, frames_each)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    row, column = np.unravel_index(sums.argmax(), sums.shape)
    if sums[row, column] <= 0:
        return None
    last_band = min(rows[row] + REGION_BANDS, bands) - 1
    last_frame = min(columns[column] + frames_each, frames) - 1
    value = float(sums[row, column])
    return Region(
        start_s=float(saliency.time_s[columns[column]]),
        end_s=float(saliency.time_s[last_frame]),
        low_hz=float(saliency.band_hz[rows[row]]),
        high_hz=float(saliency.band_hz[last_band]),
        value=-value if against else value,
    )


def _band_hz(spec: FeatureSpec) -> NDArray[np.float32]:
    """Centre of each mel band in Hz, `(band,)`."""
    from librosa import mel_frequencies  # here, because importing it takes a while

    edges = mel_frequencies(spec.n_mels + 2, fmin=spec.f_min, fmax=spec.f_max, htk=spec.mel_scale == "htk")
    centres: NDArray[np.float32] = edges[1:-1].astype(np.float32)
    return centres


def log_mel_rows(spec: FeatureSpec) -> NDArray[np.intp]:
    """For each row of the features the log-mel band nearest to it in frequency, `(row,)`."""
    own = np.arange(spec.n_mels)
    if spec.kind == "log_mel":
        return own
    from librosa import mel_frequencies

    kaldi = mel_frequencies(spec.n_mels + 2, fmin=KALDI_F_MIN, fmax=spec.f_max, htk=True)[1:-1]
    nearest = np.abs(_band_hz(spec)[:, None] - kaldi).argmin(0)
    return np.concatenate([own, nearest])


def _attribute(window: Samples, target: int, runtime: Runtime) -> NDArray[np.float32]:
    """Integrated gradients `(band, frame)` of the probability of class `target` in one window."""
    from captum.attr import IntegratedGradients  # here, because importing it takes a while

    assert isinstance(runtime, TorchRuntime)
    device, temperature = runtime.device, runtime.bundle.temperature
    samples, lengths = torch.from_numpy(window)[None], torch.tensor([len(window)])
    with runtime.raising_device_full(), torch.enable_grad(), _differentiable(device):
        features, n_frames = runtime.extract(samples.to(device), lengths.to(device))  # (1, band, frame)
        baseline = features.mean(-1, keepdim=True).expand_as(features)

        def probability(batch: Tensor) -> Tensor:
            logits = runtime.model(batch, n_frames.repeat(len(batch))).float()
            return calibration.probabilities(logits, temperature)[:, target]

        attributions: Tensor = IntegratedGradients(probability).attribute(features, baseline, n_steps=STEPS)
    rows: NDArray[np.float32] = attributions[0].detach().float().cpu().numpy()
    spec = runtime.bundle.features
    values = np.zeros((spec.n_mels, rows.shape[1]), np.float32)
    np.add.at(values, log_mel_rows(spec), rows)
    return values


@contextmanager
def _differentiable(device: torch.device) -> Iterator[None]:
    """Turns cuDNN off, because its recurrent layers have no gradient in evaluation mode.

    The setting holds for the whole process, so a lock allows one explanation at a time on a GPU.
    """
    if device.type != "cuda":
        yield
        return
    with CUDNN, torch.backends.cudnn.flags(enabled=False):
        yield

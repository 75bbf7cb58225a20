"""Overview of a recording for a page: waveform outline and log-mel spectrogram as images.

Both are decimated to a fixed maximum size, so that an hour is drawn as fast as a minute.
"""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.models import torchaudio_import
from ser_core.pictures.plots import AGAINST, FOR, SALIENCY_ALPHA, SMOOTHING

if TYPE_CHECKING:
    from ser_core.recognition.explain import Saliency

MAX_PEAKS = 200_000  # of an outline: 18 ms each in an hour
MIN_PEAK_SAMPLES = 16  # 1 ms
FULL_SCALE = 127  # of an outline's int8

N_FFT = 512  # 32 ms
HOP_LENGTH = 160  # 10 ms
MEL_BANDS = 64
TOP_HZ = SAMPLE_RATE / 2
MAX_COLUMNS = 16_000  # WebP allows 16 383 pixels; 225 ms each in an hour
BLOCK_FRAMES = 6000  # transformed at once: a minute, whose spectra take 12 MB
TOP_DB = 70.0  # dynamic range shown
POWER_FLOOR = 1e-10

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Outline:
    """The smallest and the largest sample of each of many stretches of equal length, relative to `peak`."""

    lows: NDArray[np.int8]  # (stretch,), FULL_SCALE stands for `peak`
    highs: NDArray[np.int8]  # (stretch,)
    per_second: float  # stretches per second
    peak: float  # largest magnitude, 0 to 1


def outline(waveform: Waveform) -> Outline:
    """The outline of `waveform` in at most MAX_PEAKS stretches, of at least a millisecond each.

    Raises ValueError if `waveform` has no samples.
    """
    samples = waveform.samples
    if not len(samples):
        raise ValueError("an empty waveform has no outline")
    length = max(MIN_PEAK_SAMPLES, ceil(len(samples) / MAX_PEAKS))
    starts = np.arange(0, len(samples), length)
    lows, highs = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    peak = max(float(highs.max()), -float(lows.min()))
    scale = FULL_SCALE / max(peak, 1e-6)
    return Outline(
        np.round(lows * scale).astype(np.int8),
        np.round(highs * scale).astype(np.int8),
        waveform.sample_rate / length,
        peak,
    )


def log_mel(waveform: Waveform) -> Image:
    """The log-mel spectrogram `(band, column)` of `waveform` at 16 kHz, the lowest band first.

    255 is its loudest cell and 0 is TOP_DB below it. A column is a frame of 10 ms; with more than
    MAX_COLUMNS frames it is the mean power of several, so that every frame counts.
    """
    import torch  # here, because importing both takes a while

    transform = torchaudio_import.load().transforms.MelSpectrogram(
        SAMPLE_RATE,
        N_FFT,
        hop_length=HOP_LENGTH,
        n_mels=MEL_BANDS,
        f_max=TOP_HZ,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )
    frames = max(1, ceil(len(waveform.samples) / HOP_LENGTH))
    each = ceil(frames / MAX_COLUMNS)  # frames per column
    step = BLOCK_FRAMES // each * each
    # Frame i is centred on sample i * HOP_LENGTH.
    end = frames * HOP_LENGTH - len(waveform.samples)
    padded = np.pad(waveform.samples, (N_FFT // 2, end + N_FFT // 2))
    columns = []
    for first in range(0, frames, step):
        last = min(first + step, frames)
        block = padded[first * HOP_LENGTH : (last - 1) * HOP_LENGTH + N_FFT]
        power = transform(torch.from_numpy(block)).numpy()  # (band, frame)
        starts = np.arange(0, last - first, each)
        columns.append(np.add.reduceat(power, starts, axis=1) / np.diff([*starts, last - first]))
    decibels = 10 * np.log10(np.maximum(np.concatenate(columns, axis=1), POWER_FLOOR))
    relative = np.clip(1 + (decibels - decibels.max()) / TOP_DB, 0, 1)
    levels: Image = np.round(255 * relative).astype(np.uint8)
    return levels


def band_hz() -> NDArray[np.float64]:
    """The centre of each band of `log_mel` in Hz, `(band,)`."""
    from librosa import mel_frequencies  # here, because importing it takes a while

    centres: NDArray[np.float64] = mel_frequencies(MEL_BANDS + 2, fmin=0.0, fmax=TOP_HZ)[1:-1]
    return centres


def saliency(waveform: Waveform, explanation: "Saliency") -> Image:
    """Saliency for a label (orange) and against it (blue) over the log-mel spectrogram in grey.

    `waveform`: the explained speech at 16 kHz. The image is `(band, column, 3)` in sRGB, with the bands and
    columns of `log_mel`. The map is smoothed for display.
    """
    from scipy.ndimage import gaussian_filter  # here, because importing it takes a while

    levels = log_mel(waveform)
    smooth: Any = gaussian_filter(explanation.values, SMOOTHING, mode="constant")
    rows = _nearest(explanation.band_hz, band_hz())
    times_s = np.arange(levels.shape[1]) * waveform.duration_s / levels.shape[1]
    cells = smooth[np.ix_(rows, _nearest(explanation.time_s, times_s))]
    strength = SALIENCY_ALPHA * np.abs(cells) / max(float(np.abs(smooth).max()), 1e-12)
    ink = np.where(cells[..., None] > 0, _rgb(FOR), _rgb(AGAINST))
    grey = 255.0 - levels[..., None]
    picture: Image = np.round(grey + strength[..., None] * (ink - grey)).astype(np.uint8)
    return picture


def _nearest(ascending: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.int64]:
    """For each of `targets`, the index of the nearest value in `ascending`."""
    middles = (ascending[1:] + ascending[:-1]) / 2
    indices: NDArray[np.int64] = np.searchsorted(middles, targets)
    return indices


def _rgb(color: str) -> NDArray[np.float64]:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float64)

"""Matplotlib figures of one analysis: timeline of segments, saliency over the spectrogram, probability bars.

Figures are made without pyplot and its global state, so that threads can draw at the same time. One unit is
one CSS pixel (72 dots per inch). Backgrounds are transparent. Waveform and spectrogram of the same width have
the same left and right edges, so that their time axes line up when stacked.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ser_core.analysis import Segment, Verdict
from ser_core.audio.waveform import Waveform
from ser_core.emotions import EMOTIONS, color_of
from ser_core.models import torchaudio_import

if TYPE_CHECKING:
    from ser_core.recognition.explain import Saliency

PIXELS_PER_INCH = 72  # a figure's inch in SVG, so that sizes below are CSS pixels
# Colours of everything but emotions, for a light background.
TEXT, FAINT, WAVE = "#2b3440", "#c3c9d1", "#3f4a57"
LEFT, RIGHT = 60, 14  # pixels beside the axes of waveform and spectrogram
FONT_PX = 12
CHARACTER_PX = 7.2  # mean advance of a letter at FONT_PX, on the wide side
WAVEFORM_PX, LOG_MEL_PX, BAR_PX = 190, 210, 30  # heights: two figures, and one bar with its gap
TICK_PX = 80  # at least this much between two times on an axis
TICKS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

N_FFT = 512  # 32 ms at 16 kHz
HOP_LENGTH = 160  # 10 ms at 16 kHz
MEL_BANDS = 64
MAX_FRAMES = 1500  # of a spectrogram; a long recording gets a longer hop
TOP_DB = 70.0  # dynamic range shown

FOR, AGAINST = "#D55E00", "#0072B2"  # orange and blue of Okabe and Ito (2008), safe for colour-blind readers
SALIENCY_ALPHA = 0.85  # of the strongest cell: the spectrogram stays visible under it
SMOOTHING = (3.0, 4.0)  # Gaussian over a saliency map, in bands and frames: a few harmonics, 40 ms


def timeline_figure(segments: Sequence[Segment], duration_s: float, width: int = 960) -> Figure:
    """Segments as coloured and labelled stretches, with valence (solid) and arousal (dashed); no waveform.

    `width` in pixels.
    """
    figure, axes = _timeline_axes(width, WAVEFORM_PX, bottom=40)
    axes.set_ylim(-1.08, 1.5)
    axes.set_yticks([-1, 0, 1])
    axes.set_xlabel("time (min:s)" if duration_s >= 60 else "time (s)")
    _label_axes(axes, duration_s, width, "affect")
    pixels_per_second = (width - LEFT - RIGHT) / duration_s
    for index, segment in enumerate(segments):
        _draw_segment(axes, index, segment, pixels_per_second)
        for value, style in ((segment.valence, "-"), (segment.arousal, (0, (3, 2)))):
            axes.plot((segment.start, segment.end), (value, value), color=WAVE, linestyle=style, zorder=3)
    return figure


def saliency_figure(waveform: Waveform, saliency: "Saliency", width: int = 960) -> Figure:
    """Saliency for the label (orange) and against it (blue), over the log-mel spectrogram in grey.

    `waveform`: the explained speech; `width` in pixels. The map is smoothed for display.
    """
    from scipy.ndimage import gaussian_filter  # here, because importing it takes a while

    figure, axes = _log_mel_axes(waveform, width)
    smooth = gaussian_filter(saliency.values, SMOOTHING, mode="constant")
    strength = np.abs(smooth) / max(float(np.abs(smooth).max()), 1e-12)  # (band, frame), 0 to 1
    rgba = np.where(smooth[..., None] > 0, to_rgba(FOR), to_rgba(AGAINST))
    rgba[..., 3] = SALIENCY_ALPHA * strength
    axes.pcolormesh(saliency.time_s, saliency.band_hz, rgba, shading="nearest", rasterized=True)
    axes.set_ylim(0.0, waveform.sample_rate / 2)
    return figure


def probability_figure(verdict: Verdict, width: int = 460) -> Figure:
    """One bar per emotion, in the order of `EMOTIONS`, each with its name and probability in per cent.

    `width` in pixels. The text of the most probable emotion is bold. Classes that the model does not have are
    left out.
    """
    emotions = [emotion for emotion in EMOTIONS if emotion.name in verdict.probabilities]
    height = BAR_PX * len(emotions) + 8
    figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH)
    figure.patch.set_alpha(0.0)
    names_px, shares_px = 84, 56
    axes = figure.add_axes((names_px / width, 0.0, 1 - (names_px + shares_px) / width, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(len(emotions) - 0.4, -0.6)
    best = max(verdict.probabilities, key=lambda name: verdict.probabilities[name], default=None)
    for row, emotion in enumerate(emotions):
        share = verdict.probabilities[emotion.name]
        weight = "bold" if emotion.name == best else "normal"
        axes.barh(row, 1.0, height=0.56, color=FAINT, alpha=0.28)
        axes.barh(row, share, height=0.56, color=emotion.color, edgecolor=TEXT, linewidth=0.8)
        for text, x, offset in ((emotion.name, 0, -10), (f"{share:.0%}", 1, shares_px - 6)):
            axes.annotate(
                text,
                (x, row),
                xytext=(offset, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=FONT_PX + 1,
                color=TEXT,
                fontweight=weight,
            )
    return figure


def _log_mel_axes(waveform: Waveform, width: int) -> tuple[Figure, Axes]:
    """A figure with the log-mel spectrogram of `waveform` on librosa's time and mel axes."""
    import librosa.display  # here, because importing both takes a while
    import torch

    rate, samples = waveform.sample_rate, waveform.samples
    hop_length = max(HOP_LENGTH, -(-len(samples) // MAX_FRAMES))
    # Not librosa's own transform: numba compiles it for 15 s at its first use on a machine.
    transform = torchaudio_import.load().transforms.MelSpectrogram(
        rate, N_FFT, hop_length=hop_length, n_mels=MEL_BANDS, norm="slaney", mel_scale="slaney"
    )
    power = transform(torch.from_numpy(samples)).numpy()  # (mel, frame)
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    figure, axes = _timeline_axes(width, LOG_MEL_PX, bottom=40)
    librosa.display.specshow(
        np.maximum(decibels - decibels.max(), -TOP_DB),
        sr=rate,
        hop_length=hop_length,
        n_fft=N_FFT,
        fmax=rate / 2,
        x_axis="time",
        y_axis="mel",
        cmap="gray_r",
        ax=axes,
        rasterized=True,
    )
    axes.set_xlabel("time (min:s)" if waveform.duration_s >= 60 else "time (s)")
    _label_axes(axes, waveform.duration_s, width, "Hz")
    return figure, axes


def _timeline_axes(width: int, height: int, bottom: int) -> tuple[Figure, Axes]:
    """A figure of `width` by `height` pixels whose axes end at LEFT and RIGHT, `bottom` pixels up."""
    figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH)
    figure.patch.set_alpha(0.0)
    axes = figure.add_axes(
        (LEFT / width, bottom / height, (width - LEFT - RIGHT) / width, (height - bottom - 6) / height)
    )
    axes.patch.set_alpha(0.0)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    return figure, axes


def _label_axes(axes: Axes, duration_s: float, width: int, ylabel: str) -> None:
    """Sets the time axis from 0 to `duration_s`, and the label and style of both axes."""
    plot_px = width - LEFT - RIGHT
    step = next((step for step in TICKS_S if plot_px * step / duration_s >= TICK_PX), TICKS_S[-1])
    axes.set_xlim(0.0, duration_s)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds, duration_s)))
    axes.tick_params(labelcolor=TEXT, labelsize=FONT_PX, length=3, color=FAINT)
    axes.set_xlabel(axes.get_xlabel(), color=TEXT, fontsize=FONT_PX)
    axes.set_ylabel(ylabel, color=TEXT, fontsize=FONT_PX)
    axes.yaxis.set_label_coords((20 - LEFT) / plot_px, 0.5)


def _draw_segment(axes: Axes, index: int, segment: Segment, pixels_per_second: float) -> None:
    """Colours a segment's stretch and puts its number and label above it, or as much of them as fits."""
    length, color = segment.end - segment.start, color_of(segment.label)
    axes.axvspan(segment.start, segment.end, color=color, alpha=0.24, linewidth=0, zorder=1)
    axes.add_patch(Rectangle((segment.start, 1.12), length, 0.33, color=color, linewidth=0, zorder=2))
    room = int((length * pixels_per_second - 6) / CHARACTER_PX)
    axes.text(
        segment.start + length / 2,
        1.285,
        next((text for text in (f"{index + 1} {segment.label}", str(index + 1)) if len(text) <= room), ""),
        ha="center",
        va="center_baseline",
        fontsize=FONT_PX,
        color=_readable_on(color),
        zorder=4,
    )


def _readable_on(color: str) -> str:
    """Black or white, whichever has more contrast on `color` (WCAG 2.2, relative luminance)."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def _clock(seconds: float, duration_s: float) -> str:
    """`seconds` as a label on the axis of a recording of `duration_s`: `7.5`, or `1:05` from a minute on."""
    if duration_s < 60:
        return f"{seconds:g}"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

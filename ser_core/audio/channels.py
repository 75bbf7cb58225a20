"""Channels of a recording: mixed to one, or heard apart where they carry different speech.

A call recorder writes each person to a channel of their own. A stereo microphone writes the same persons to
both, a little later or softer in one of them. The levels tell these apart, whatever lies between the
microphones: of the same voice they rise and fall together in both channels, of different voices they do not.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ser_core.audio import faults
from ser_core.audio.stored import Block
from ser_core.audio.waveform import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from ser_core.audio.vad import Span

AUTO, MIX, EACH = "auto", "mix", "each"
CHANNELS = (AUTO, MIX, EACH)

# Channels cancel each other where their mean is weaker than this share of the strongest of them, divided by
# how many there are: two equal voices in one phase have 2, one of two channels alone 1, one inverted 0.
CANCELLED_SHARE = 0.67
CANCELLED_SHARE_OF_EACH = 0.85  # the same of the weakest of them
CANCELLED_PIECE_S = 2.0  # in which channels are compared
CANCELLED_RATE = 6_000  # frames a second that are looked at: enough for levels
CANCELLED_LAG_S = 1 / 4_000  # changes of changes over it are compared too, without a hum that channels share
# Microphones at a distance cancel too, where one is late by half a period; their channels are alike at some
# other delay. Delays from one channel to the other at which they are compared, in seconds.
DELAYS_S = np.arange(-72, 73) / 24_000
ALIKE = 1.05  # channels are inverted unless they are so much more alike at a delay than inverted at any

ENOUGH_SPEECH_S = 10.0  # in each of two channels, after which it is decided whether they differ
MIN_SPEECH_S = 0.5  # in each of two channels that carry different speech
SCAN_S = 300.0  # of a recording, after which it is decided with what was heard
FRAME_SAMPLES = SAMPLE_RATE * 30 // 1000  # as the speech detector's
WINDOW_FRAMES = 33  # levels are compared second by second
RANGE_DB = 40.0  # levels so far below a channel's loud ones count as silence
FLOOR_POWER = 1e-10  # mean square; -100 dBFS
STEADY_DB = 1.0  # a second whose level deviates by less holds nothing that could rise and fall
SAME_CORRELATION = 0.5  # of levels, from which on two channels carry the same speech (benchmarks/channels.py)


class Mixer:
    """One channel of several: their mean, or the strongest where they cancel each other."""

    def __init__(self) -> None:
        self.warning = ""
        self._channel: int | None = None  # that is taken from the first cancelled block on

    def __call__(self, block: Block) -> Samples:
        """Mono `(n_samples,)` of `block`."""
        samples = block.samples
        channels = samples.shape[1]
        if channels == 1:
            return samples[:, 0]
        mono = _mean(samples)
        start = 0
        if self._channel is None:
            start = self._cancelled_from(samples, block.sample_rate)
        if self._channel is not None:
            mono[start:] = samples[start:, min(self._channel, channels - 1)]
        return mono

    def _cancelled_from(self, samples: Samples, sample_rate: int) -> int:
        """Where `samples`, (frame, channel), begin to cancel; 0 and no channel where they do not."""
        lag = max(round(CANCELLED_LAG_S * sample_rate), 1)
        piece = round(CANCELLED_PIECE_S * sample_rate)
        step = max(sample_rate // CANCELLED_RATE, 1)
        for start in range(0, max(len(samples) - piece // 2, 1), piece):
            end = start + piece if len(samples) - start >= 1.5 * piece else len(samples)
            last = max(end - 2 * lag, start)
            one, two, three = (samples[start + late : last + late : step] for late in (0, lag, 2 * lag))
            for curved, part in ((False, one), (True, three - 2 * two + one)):
                if not len(part):
                    continue
                part = part - part.mean(axis=0)  # (frame, channel)
                products = _products(part, part)
                power = products.diagonal()
                total = products.sum()  # of the sum of all channels
                if total < max(
                    CANCELLED_SHARE**2 * power.max(), CANCELLED_SHARE_OF_EACH**2 * power.min()
                ) and _inverted(samples[start:end], products, sample_rate, curved):
                    self._channel, self.warning = int(power.argmax()), faults.CANCELLED
                    return start
        return 0


def _products(one: Samples, other: Samples) -> Samples:
    """Products of the channels of two signals of shape (frame, channel), summed: (channel, channel).

    Not by BLAS, which would end a worker that has no memory left.
    """
    products: Samples = np.einsum("fa,fb->ab", one, other)
    return products


def _inverted(samples: Samples, products: Samples, sample_rate: int, curved: bool) -> bool:
    """Whether the two channels of `samples`, (frame, channel), with the least of `products` are inverted.

    If they are alike at a delay, as two microphones at a distance, they are not. `curved`: by their changes
    of changes.
    """
    pair = samples[:, np.unravel_index(products.argmin(), products.shape)]
    if curved:
        lag = max(round(CANCELLED_LAG_S * sample_rate), 1)
        pair = pair[2 * lag :] - 2 * pair[lag:-lag] + pair[: -2 * lag]
    delays = np.unique(np.round(DELAYS_S * sample_rate).astype(int))
    reach, step = delays[-1], max(sample_rate // CANCELLED_RATE, 1)
    last = len(pair) - reach
    if last <= reach:
        return True
    pair = pair - pair.mean(axis=0)
    early = pair[reach:last:step, :1]
    alike = [_products(early, pair[reach + late : last + late : step, 1:]).item() for late in delays]
    return max(alike) <= -ALIKE * min(alike)


def _mean(samples: Samples) -> Samples:
    """The mean of the channels of `samples`, (frame, channel); numpy's is slow along so short an axis."""
    mean: Samples = samples[:, 0] + samples[:, 1]
    for channel in range(2, samples.shape[1]):
        mean += samples[:, channel]
    mean /= np.float32(samples.shape[1])
    return mean


def carry_different_speech(blocks: Iterable[NDArray[np.float32]]) -> bool:
    """Whether the two channels of `blocks`, each `(n_samples, 2)` at 16 kHz, hold different voices.

    No more is read than is needed to tell: `ENOUGH_SPEECH_S` of speech in both channels, `SCAN_S` at most.
    """
    from ser_core.audio.vad import Segmenter  # here: webrtcvad takes 3 MB, and most recordings are mixed

    segmenters = Segmenter(), Segmenter()
    spans: tuple[list[Span], list[Span]] = ([], [])
    measured: list[NDArray[np.float64]] = []  # (frame, channel) in dB
    rest = np.zeros((0, 2), np.float32)
    samples_read = 0
    for block in blocks:
        for found, segmenter, channel in zip(spans, segmenters, block.T, strict=True):
            found += segmenter.push(np.ascontiguousarray(channel))
        samples = np.concatenate([rest, block])
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        rest = samples[whole:]
        measured.append(levels(samples[:whole]))
        samples_read += len(block)
        if samples_read >= SCAN_S * SAMPLE_RATE or min(map(_speech_s, spans)) >= ENOUGH_SPEECH_S:
            break
    for found, segmenter in zip(spans, segmenters, strict=True):
        found += segmenter.flush()
    if min(map(_speech_s, spans)) < MIN_SPEECH_S:
        return False
    return level_correlation(np.concatenate(measured), [*spans[0], *spans[1]]) < SAME_CORRELATION


def level_correlation(levels: NDArray[np.float64], spans: "Iterable[Span]") -> float:
    """How far two channels rise and fall together in `spans`, -1 to 1: the mean over seconds with speech.

    `levels`: `(frame, channel)` in dB. A second in which one of them is steady counts as 0.
    """
    floored = np.maximum(levels, np.percentile(levels, 95, axis=0) - RANGE_DB)
    speech = np.zeros(len(levels), bool)
    for span in spans:
        speech[span.start // FRAME_SAMPLES : span.end // FRAME_SAMPLES] = True
    total, seconds = 0.0, 0
    for start in range(0, len(levels) - WINDOW_FRAMES + 1, WINDOW_FRAMES):
        window = floored[start : start + WINDOW_FRAMES]
        if not speech[start : start + WINDOW_FRAMES].any():
            continue
        seconds += 1
        if window.std(axis=0).min() >= STEADY_DB:
            total += float(np.corrcoef(window.T)[0, 1])
    return total / seconds if seconds else 1.0


def _speech_s(spans: "Iterable[Span]") -> float:
    return sum(span.end - span.start for span in spans) / SAMPLE_RATE


def levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels `(frame, channel)` in dB of whole frames of `samples` `(n_samples, channel)`."""
    frames = samples.reshape(-1, FRAME_SAMPLES, samples.shape[1])
    power = np.square(frames - frames.mean(axis=1, keepdims=True), dtype=np.float64).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, FLOOR_POWER)), np.float64)

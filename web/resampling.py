"""Filters of the page's resampler, measured from soxr, which the Python code uses.

A resampler between two rates is a filter for each place that an output sample can have between two input
samples. The response of soxr to single samples gives these filters, whatever they are made of inside.
"""

import base64
from math import gcd

import numpy as np
import soxr
from numpy.typing import NDArray

from ser_core.audio.waveform import SAMPLE_RATE

RATES = (8_000, 24_000, 32_000, 44_100, 48_000, 96_000)  # Hz, of which the filters are small
SEARCHED = 2_000  # samples on both sides, in which a response lies
NEGLIGIBLE = 1e-7  # of a weight: beyond the filter's end there is only the rounding of float32


def filters(rate: int) -> NDArray[np.float32]:
    """The filters `(phase, 2 * half)` from `rate` to 16 kHz.

    Weight i of phase p is that of input sample `floor(t) - half + 1 + i` in an output sample at `t` (in input
    samples), whose fraction is `p / phases`.
    """
    common = gcd(rate, SAMPLE_RATE)
    period, phases = rate // common, SAMPLE_RATE // common  # input and output samples until places repeat
    margin = -(-SEARCHED // period)  # in periods
    rows = np.zeros((phases, 2 * SEARCHED), np.float32)
    for offset in range(period):
        sound = np.zeros((2 * margin + 1) * period, np.float32)
        sound[margin * period + offset] = 1
        response = soxr.resample(sound, rate, SAMPLE_RATE)
        for number, weight in enumerate(response):
            whole, rest = divmod(number * period, phases)
            place = margin * period + offset - whole + SEARCHED - 1
            if 0 <= place < 2 * SEARCHED:
                rows[rest, place] = weight
    audible = np.flatnonzero((np.abs(rows) > NEGLIGIBLE).any(axis=0))
    half = int(max(SEARCHED - audible[0], audible[-1] + 1 - SEARCHED))
    return rows[:, SEARCHED - half : SEARCHED + half]


def packed(rows: NDArray[np.float32]) -> dict[str, object]:
    """Filters as the page reads them: `half` the length of each, and weights in base64.

    Of the first half of the phases: the filters are symmetric, so phase `phases - p` is phase `p` backwards.
    """
    first = rows[: len(rows) // 2 + 1]
    return {
        "half": rows.shape[1] // 2,
        "weights": base64.b64encode(first.astype("<f4").tobytes()).decode(),
    }

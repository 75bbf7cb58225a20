"""Technical quality of a recording: level, clipping, signal-to-noise ratio, bandwidth.

Frames of 30 ms are counted in tables by their level. Memory therefore does not grow with the recording, and
the result does not depend on where blocks are cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.waveform import SAMPLE_RATE, Waveform

FRAME_SAMPLES = SAMPLE_RATE * 30 // 1000  # 480
CHUNK_FRAMES = 256  # processed at once
WINDOW = np.hanning(FRAME_SAMPLES)
FLOOR_DBFS = -120.0  # the level of digital silence
STEP_DB = 0.5  # resolution of the frame levels

FULL_SCALE = 0.999  # from this amplitude on, a sample is at the limit of the converter
CLIPPED_RUN = 3  # consecutive samples at full scale; an unclipped peak has one or two
SPEECH_PERCENTILE, NOISE_PERCENTILE = 90.0, 10.0  # of the frame levels
MAX_SNR_DB = 80.0
LOUD_RANGE_DB = 20.0  # bandwidth is measured on frames down to this far below the speech level
AUDIBLE_RANGE_DB = 60.0  # a frequency this far below the strongest counts as empty

# Limits of the warnings. Of 4044 clips of RAVDESS, EMOVO, nEMO and TESS only 13 get a warning, all for their
# level (peaks of RAVDESS down to -47 dBFS). The lowest SNR is 10.6 dB, the lowest bandwidth 7.6 kHz; with
# white noise as strong as the speech, RAVDESS clips measure at most 7.8 dB.
QUIET_DBFS = -40.0
CLIPPED_SHARE = 0.001
NOISY_DB = 9.0
TELEPHONE_HZ = 4_200


@dataclass(frozen=True)
class Quality:
    """The technical quality of a recording."""

    peak_dbfs: float  # relative to full scale, at most 0; -120 for digital silence
    clipped: float  # share of samples at full scale, 0 to 1
    snr_db: float  # level of the loud (speech) frames over that of the quietest, 0 to 80
    bandwidth_hz: int  # highest frequency with energy, at most half the sample rate; 0 for silence
    warnings: tuple[str, ...]  # sentences for people: the fault and what to do


class QualityMeter:
    """Measures the quality of a recording that arrives in blocks.

    >>> meter = QualityMeter()
    >>> meter.push(np.zeros(16_000, np.float32))
    >>> meter.report().peak_dbfs
    -120.0
    """

    def __init__(self) -> None:
        levels = round(-FLOOR_DBFS / STEP_DB) + 1
        self._rest = np.zeros(0, np.float32)  # samples of the incomplete frame
        self._peak = 0.0
        self._clipped = 0
        self._frames = np.zeros(levels, np.int64)  # number of frames at each level
        self._power = np.zeros((levels, FRAME_SAMPLES // 2 + 1))  # (level, frequency), sums

    def push(self, block: NDArray[np.float32]) -> None:
        """Adds `block`: mono at 16 kHz, shape (n_samples,), any length."""
        samples = np.concatenate([self._rest, block])
        whole = len(samples) - len(samples) % FRAME_SAMPLES
        self._rest = samples[whole:]
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        for start in range(0, whole, CHUNK_FRAMES * FRAME_SAMPLES):
            chunk = samples[start : min(start + CHUNK_FRAMES * FRAME_SAMPLES, whole)]
            self._add(chunk.reshape(-1, FRAME_SAMPLES))

    def _add(self, frames: NDArray[np.float32]) -> None:
        """Adds whole frames, shape (frame, sample)."""
        self._clipped += _count_clipped(frames)
        frames = frames - frames.mean(axis=1, keepdims=True)  # a DC offset is no sound
        levels = _decibels(np.mean(np.square(frames, dtype=np.float64), axis=1))
        rows = np.rint((levels - FLOOR_DBFS) / STEP_DB).astype(np.int64)
        power = np.abs(np.fft.rfft(frames * WINDOW)) ** 2  # (frame, frequency)
        for row, spectrum in zip(rows, power, strict=True):  # one by one: rounding must not depend on blocks
            self._frames[row] += 1
            self._power[row] += spectrum

    def report(self) -> Quality:
        """The quality of all samples pushed so far."""
        peak_dbfs = float(_decibels(self._peak**2))
        total = int(self._frames.sum())
        clipped = self._clipped / (total * FRAME_SAMPLES) if total else 0.0
        snr_db = self._snr_db() if total else 0.0
        bandwidth_hz = self._bandwidth_hz() if total else 0
        return Quality(
            peak_dbfs=round(peak_dbfs, 1),
            clipped=round(clipped, 5),
            snr_db=round(snr_db, 1),
            bandwidth_hz=bandwidth_hz,
            warnings=sentences(peak_dbfs, clipped, snr_db, bandwidth_hz),
        )

    def _level(self, percentile: float) -> int:
        """Row of the tables: the level that `percentile` percent of the frames do not exceed."""
        return int(np.searchsorted(self._frames.cumsum(), percentile / 100 * self._frames.sum()))

    def _snr_db(self) -> float:
        gap_db = (self._level(SPEECH_PERCENTILE) - self._level(NOISE_PERCENTILE)) * STEP_DB
        # The loud frames hold speech and noise: subtract the noise.
        return min(float(_decibels(10 ** (gap_db / 10) - 1, floor=0.0)), MAX_SNR_DB)

    def _bandwidth_hz(self) -> int:
        quietest = self._level(SPEECH_PERCENTILE) - round(LOUD_RANGE_DB / STEP_DB)
        power = self._power[max(quietest, 1) :].sum(axis=0)  # row 0 is digital silence
        if not power.any():
            return 0
        audible = power > power.max() * 10 ** (-AUDIBLE_RANGE_DB / 10)
        return int(audible.nonzero()[0][-1] * SAMPLE_RATE // FRAME_SAMPLES)


def measure(waveform: Waveform) -> Quality:
    """The quality of a whole recording at 16 kHz; the same as `QualityMeter` reports for its blocks."""
    meter = QualityMeter()
    meter.push(waveform.samples)
    return meter.report()


def worst(reports: Sequence[Quality]) -> Quality:
    """The worst of several channels in each respect, which holds for the recording; silent ones do not count.

    The warnings are those of all of them, each once.
    """
    heard = [report for report in reports if report.peak_dbfs > FLOOR_DBFS] or reports[:1]
    return Quality(
        peak_dbfs=max(report.peak_dbfs for report in heard),
        clipped=max(report.clipped for report in heard),
        snr_db=min(report.snr_db for report in heard),
        bandwidth_hz=min(report.bandwidth_hz for report in heard),
        warnings=tuple(dict.fromkeys(warning for report in heard for warning in report.warnings)),
    )


def _decibels(power: NDArray[np.float64] | float, floor: float = FLOOR_DBFS) -> NDArray[np.float64]:
    return 10 * np.log10(np.maximum(power, 10 ** (floor / 10)))


def _count_clipped(frames: NDArray[np.float32]) -> int:
    """Samples of `frames` (frame, sample) that lie in a run of at least `CLIPPED_RUN` at full scale."""
    full = np.abs(frames) >= FULL_SCALE
    starts = full[:, :-2] & full[:, 1:-1] & full[:, 2:]  # of three in a row
    inside = np.zeros_like(full)
    for offset in range(CLIPPED_RUN):
        inside[:, offset : offset + starts.shape[1]] |= starts
    return int(inside.sum())


def sentences(peak_dbfs: float, clipped: float, snr_db: float, bandwidth_hz: int) -> tuple[str, ...]:
    """The warnings of such a recording, for people; the arguments are those of `Quality`."""
    if peak_dbfs <= FLOOR_DBFS:
        return ("Silent: the recording holds no sound at all. Check that the microphone is not muted.",)
    warnings = []
    if peak_dbfs < QUIET_DBFS:
        warnings.append("Very quiet: move closer to the microphone or turn up its level.")
    if clipped >= CLIPPED_SHARE:
        warnings.append("Clipped: the sound is distorted because it is too loud. Turn the input level down.")
    if snr_db < NOISY_DB:
        warnings.append("Noisy: the voice hardly stands out. Move closer or record in a quieter place.")
    if bandwidth_hz < TELEPHONE_HZ:
        warnings.append("Telephone band: high tones are missing. Record with a microphone instead of a call.")
    return tuple(warnings)

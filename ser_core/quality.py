"""What is wrong with a recording: level, clipping, signal-to-noise ratio, bandwidth."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quality:
    """A recording's technical state."""

    peak_dbfs: float  # dB below full scale; -120 for digital silence
    clipped: float  # share of samples at full scale, 0 to 1
    snr_db: float  # speech-like loud frames over the quietest frames
    bandwidth_hz: int  # highest frequency with energy, at most half the sample rate
    warnings: tuple[str, ...]  # in words a layperson understands, each with what to do

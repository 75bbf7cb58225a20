"""Speech segments from webrtcvad frames behind an energy and spectral-flatness gate.

Frames are 30 ms of int16 mono at 16 kHz. Everything here counts integer samples;
seconds appear only in `Span.start_s` and `Span.end_s`.
"""

from dataclasses import dataclass

from ser_core.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Span:
    """A stretch of a recording: `start` to `end` (exclusive), in samples at 16 kHz."""

    start: int
    end: int

    @property
    def start_s(self) -> float:
        """Start in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def end_s(self) -> float:
        """End in seconds."""
        return self.end / SAMPLE_RATE


@dataclass(frozen=True)
class VadOptions:
    """How speech is told from the rest (names and meaning follow silero-vad)."""

    aggressiveness: int = 2  # webrtcvad mode, 0 (keeps most) to 3
    min_speech_ms: int = 250  # shorter bursts are dropped
    min_silence_ms: int = 300  # a pause this long ends a segment
    speech_pad_ms: int = 100  # kept on both sides
    max_speech_s: float = 10.0  # longer segments are cut at their quietest frame

"""Lossy audio coding, as in telephony, messengers and compressed files."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from ser_core.audio.waveform import SAMPLE_RATE
from train.augment.technique import Draw, Range, Samples, WaveformTechnique, check_range

# libsndfile's container and coding, and the sampling rate in Hz at which the codec is used
CODECS = {
    "mu_law": ("WAV", "ULAW", 8000),  # G.711, telephones in North America and Japan
    "a_law": ("WAV", "ALAW", 8000),  # G.711, telephones elsewhere
    "gsm": ("WAV", "GSM610", 8000),  # the first mobile telephones
    "opus": ("OGG", "OPUS", SAMPLE_RATE),  # calls and voice messages
    "vorbis": ("OGG", "VORBIS", SAMPLE_RATE),
    "mp3": ("MP3", "MPEG_LAYER_III", SAMPLE_RATE),
}
FIXED_RATE = ("mu_law", "a_law", "gsm")  # without a compression level


@dataclass(frozen=True)
class Codec(WaveformTechnique):
    """One of `codecs`, encoded and decoded in memory by libsndfile (audiomentations has MP3 alone)."""

    codecs: tuple[str, ...] = tuple(CODECS)
    compression: Range = (0.5, 0.95)  # libsndfile's scale from 0 (best) to 1 (smallest)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.codecs, tuple) or not self.codecs or not set(self.codecs) <= set(CODECS):
            raise ValueError(f"codecs must be some of {', '.join(CODECS)}, is {self.codecs!r}")
        check_range("compression", self.compression, 0, 1)

    def draw(self, rng: np.random.Generator) -> Draw:
        """The codec and its compression level."""
        codec = self.codecs[int(rng.integers(len(self.codecs)))]
        compression = rng.uniform(*self.compression)
        return {"codec": codec} | ({} if codec in FIXED_RATE else {"compression": compression})

    def apply(self, samples: Samples, draw: Draw) -> Samples:
        """`samples` encoded and decoded, time-aligned and of the same length."""
        container, coding, rate = CODECS[draw["codec"]]
        peak = np.float32(max(1.0, np.abs(samples).max(initial=0.0)))  # encoders clip louder samples
        file = io.BytesIO()
        narrow = soxr.resample(samples / peak, SAMPLE_RATE, rate)
        soundfile.write(
            file, narrow, rate, format=container, subtype=coding, compression_level=draw.get("compression")
        )
        file.seek(0)
        decoded, _ = soundfile.read(file, dtype="float32")
        wide = soxr.resample(decoded[: len(narrow)], rate, SAMPLE_RATE) * peak
        return np.pad(wide, (0, max(0, len(samples) - len(wide))))[: len(samples)].astype(np.float32)

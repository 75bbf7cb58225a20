"""Specification of a model's input features, stored in its bundle. Needs no torch; see `features`."""

from dataclasses import dataclass
from typing import Literal, get_args

from ser_core.audio.waveform import SAMPLE_RATE

MAX_COUNT = 65_536  # of samples in a window, bands, coefficients: a larger number is an error
Kind = Literal["log_mel", "mfcc", "mfcc_log_mel", "log_mel_fbank", "waveform"]
Scale = Literal["slaney", "htk"]
Normalization = Literal["whisper", "utterance"]


@dataclass(frozen=True)
class FeatureSpec:
    """The input features of a model; stored in its bundle. Window and hop in samples."""

    # mfcc_log_mel: MFCC rows above log-mel rows; log_mel_fbank: log-mel rows above as many of Kaldi's
    # filterbank; waveform: the samples as one row, a frame is a sample
    kind: Kind = "log_mel"
    sample_rate: int = SAMPLE_RATE  # Hz
    n_fft: int = 400  # 25 ms at 16 kHz; also the length of the Hann window
    hop_length: int = 160  # 10 ms at 16 kHz
    n_mels: int = 80
    n_mfcc: int = 40  # only for the kinds with MFCC
    f_min: float = 0.0  # Hz
    f_max: float = 8000.0  # Hz
    mel_scale: Scale = "slaney"  # also decides the filters' area normalisation
    # whisper: (log10 power, clamped at TOP_DB under its maximum, + 4) / 4; utterance: every coefficient
    # to zero mean and unit variance over the utterance's frames (a waveform always)
    normalization: Normalization = "utterance"

    @property
    def bands(self) -> int:
        """Rows of the feature matrix."""
        return {
            "log_mel": self.n_mels,
            "mfcc": self.n_mfcc,
            "mfcc_log_mel": self.n_mfcc + self.n_mels,
            "log_mel_fbank": 2 * self.n_mels,
            "waveform": 1,
        }[self.kind]

    @property
    def is_valid(self) -> bool:
        """Whether features can be computed from it; a specification from a file is not trusted."""
        counts = (self.sample_rate, self.n_fft, self.hop_length, self.n_mels, self.n_mfcc)
        return (
            all(type(count) is int and 0 < count <= MAX_COUNT for count in counts)
            and all(type(hz) in (int, float) for hz in (self.f_min, self.f_max))
            and 0 <= self.f_min < self.f_max <= self.sample_rate / 2
            and self.sample_rate == SAMPLE_RATE
            and self.n_mfcc <= self.n_mels <= self.n_fft
            and self.kind in get_args(Kind)
            and self.mel_scale in get_args(Scale)
            and self.normalization in get_args(Normalization)
        )

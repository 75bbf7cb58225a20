"""Computes log-mel and MFCC features: batched, on any device, independent of padding.

Samples are `(batch, n_samples)` at `FeatureSpec.sample_rate` with their lengths in samples; features are
`(batch, band, frame)`. Each utterance is first scaled to the same level, so that distance and gain of the
microphone have no effect. Features are never normalised per (coefficient, frame) cell.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models import torchaudio_import
from ser_core.models.feature_spec import FeatureSpec as FeatureSpec

torchaudio = torchaudio_import.load()

LEVEL_RMS = 0.08  # every utterance is scaled to this root mean square (-22 dBFS)
POWER_FLOOR = 1e-10  # keeps the logarithm finite
PREEMPHASIS, KALDI_F_MIN = 0.97, 20.0  # Kaldi's, the latter in Hz
KALDI_FLOOR = torch.finfo(torch.float32).eps
TOP_DB = 80.0  # quieter than this below an utterance's loudest cell counts as silence


class FeatureExtractor(nn.Module):
    """Computes the features that a `FeatureSpec` describes.

    >>> extract = FeatureExtractor(FeatureSpec(n_mels=80, normalization="whisper"))
    >>> features, lengths = extract(torch.randn(2, 16000), torch.tensor([16000, 8000]))
    >>> features.shape, lengths.tolist()
    (torch.Size([2, 80, 100]), [100, 50])
    """

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        self.spec = spec
        if spec.kind == "waveform":
            return
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=spec.sample_rate,
            n_fft=spec.n_fft,
            hop_length=spec.hop_length,
            f_min=spec.f_min,
            f_max=spec.f_max,
            n_mels=spec.n_mels,
            power=2.0,
            pad_mode="constant",  # so that a clip's last frames do not depend on the padding behind it
            norm="slaney" if spec.mel_scale == "slaney" else None,
            mel_scale=spec.mel_scale,
        )
        if spec.kind == "log_mel_fbank":
            self.fbank = KaldiFilterbank(spec)
        self.dct: Tensor
        if spec.kind in ("mfcc", "mfcc_log_mel"):
            dct = torchaudio.functional.create_dct(spec.n_mfcc, spec.n_mels, norm="ortho")
            self.register_buffer("dct", dct, persistent=False)

    @torch.no_grad()
    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features `(batch, band, frame)`, zero in the padding, and their lengths in frames `(batch,)`.

        `samples`: `(batch, n_samples)` float32; samples beyond `lengths` (in samples, at least one each) are
        ignored.
        """
        spec = self.spec
        samples = set_level(samples, lengths)
        if spec.kind == "waveform":
            inside = frame_mask(lengths, samples.shape[-1])[:, None, :]
            return standardise(samples[:, None], inside).masked_fill(~inside, 0.0), lengths
        n_frames = torch.clamp(lengths // spec.hop_length, min=1)
        frames = max(1, samples.shape[-1] // spec.hop_length)
        power: Tensor = self.mel(samples)[..., :frames]  # (batch, mel, frame)
        valid = frame_mask(n_frames, power.shape[-1])[:, None, :]
        log_power = power.clamp(min=POWER_FLOOR).log10()
        loudest = log_power.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)
        log_power = torch.maximum(log_power, loudest - TOP_DB / 10)
        features = log_power
        if spec.kind in ("mfcc", "mfcc_log_mel"):
            features = torch.einsum("bmt,mc->bct", 10 * log_power, self.dct)
        if spec.kind == "mfcc_log_mel":
            features = torch.cat([features, log_power], dim=1)
        features = (features + 4) / 4 if spec.normalization == "whisper" else standardise(features, valid)
        if spec.kind == "log_mel_fbank":
            features = torch.cat([features, self.fbank(samples, valid)], dim=1)
        return features.masked_fill(~valid, 0.0), n_frames


class KaldiFilterbank(nn.Module):
    """Kaldi's log mel filterbank, with the mean of each band taken away, as speaker encoders read it.

    Each frame's mean is removed, then come pre-emphasis, Povey's window and a Fourier transform. All four are
    linear: together they are one matrix. Frame `i` covers the window around sample `i * hop_length`, as
    in the log-mel features; Kaldi's own frames begin there.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        window, size = spec.n_fft, 1 << (spec.n_fft - 1).bit_length()
        self.hop_length, self.window = spec.hop_length, window
        kaldi = torchaudio.compliance.kaldi
        frames = torch.eye(window, dtype=torch.float64)
        frames = frames - frames.mean(1, keepdim=True)
        frames = frames - PREEMPHASIS * torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        frames = frames * torch.hann_window(window, periodic=False, dtype=torch.float64).pow(0.85)
        turns = torch.outer(torch.arange(size // 2), torch.arange(window)).double() / size
        waves = torch.cat([torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)])
        bank, _ = kaldi.get_mel_banks(
            spec.n_mels, size, float(spec.sample_rate), KALDI_F_MIN, 0.0, 100.0, -500.0, 1.0
        )
        self.kernels: Tensor
        self.bank: Tensor
        self.register_buffer("kernels", (waves @ frames.T).float(), persistent=False)  # (wave, sample)
        self.register_buffer("bank", bank.float(), persistent=False)  # (band, frequency)

    def forward(self, samples: Tensor, valid: Tensor) -> Tensor:
        """Features `(batch, band, frame)` of `samples` `(batch, n_samples)`; `valid` `(batch, 1, frame)`."""
        frames = valid.shape[-1]
        padded = F.pad(samples, (self.window // 2, self.window // 2))
        windows = padded.unfold(-1, self.window, self.hop_length)  # (batch, frame, sample)
        real, imaginary = (self.kernels @ windows.transpose(1, 2)).chunk(2, dim=1)
        power = self.bank @ (real.square() + imaginary.square())[..., :frames]
        logarithm = power.clamp(min=KALDI_FLOOR).log()
        mean = (logarithm * valid).sum(-1, keepdim=True) / valid.sum(-1, keepdim=True)
        return logarithm - mean


def fbank_of(samples: Tensor, fbank: KaldiFilterbank) -> Tensor:
    """The filterbank `(frame, band)` of one clip `(n_samples,)`, as a `FeatureExtractor` computes it."""
    length = torch.tensor([len(samples)])
    valid = torch.ones(1, 1, max(1, len(samples) // fbank.hop_length))
    features: Tensor = fbank(set_level(samples[None], length), valid)
    return features[0].T


def set_level(samples: Tensor, lengths: Tensor) -> Tensor:
    """Each row of `samples` `(batch, n_samples)` scaled to `LEVEL_RMS` over its length, zero beyond it."""
    samples = samples * frame_mask(lengths, samples.shape[-1])
    rms = (samples.square().sum(-1) / lengths).sqrt()
    return samples * (LEVEL_RMS / rms.clamp(min=1e-6))[:, None]


def standardise(features: Tensor, valid: Tensor) -> Tensor:
    """`features` `(batch, band, frame)` with zero mean and unit variance per band over the `valid` frames."""
    count = valid.sum(-1, keepdim=True)
    mean = (features * valid).sum(-1, keepdim=True) / count
    variance = ((features - mean).square() * valid).sum(-1, keepdim=True) / count
    return (features - mean) / (variance + 1e-5).sqrt()


def frame_mask(lengths: Tensor, size: int) -> Tensor:
    """True at positions within each row's length: lengths `(batch,)` to a mask `(batch, size)`."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def pad(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of different lengths `(n_samples,)` as one zero-padded batch, and their lengths."""
    lengths = torch.tensor([len(row) for row in rows])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths

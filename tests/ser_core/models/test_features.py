"""Features do not depend on padding, level or the device's batch; they agree with librosa's bands."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from librosa.filters import mel
from scipy.fft import dct
from scipy.signal import get_window

from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor, pad

SPECS = [
    FeatureSpec(),
    FeatureSpec(normalization="whisper"),
    FeatureSpec(kind="mfcc", n_mels=128),
    FeatureSpec(n_fft=512, hop_length=80, n_mels=128),
    FeatureSpec(kind="mfcc_log_mel", n_fft=512, n_mels=128),
    FeatureSpec(kind="waveform"),
]


def noise(n: int, seed: int = 0) -> torch.Tensor:
    """Noise with a level that changes in time, so that frames differ."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, generator=generator) * torch.linspace(0.01, 0.2, n)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_padding_does_not_change_features(spec):
    extract = FeatureExtractor(spec)
    clip = noise(12_345)
    alone, length = extract(*pad([clip]))
    beside, lengths = extract(*pad([clip, noise(40_000, seed=1)]))
    assert lengths[0] == length[0]
    torch.testing.assert_close(beside[0, :, : length[0]], alone[0], atol=1e-5, rtol=1e-5)
    assert beside[0, :, length[0] :].abs().max() == 0


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_level_does_not_change_features(spec):
    extract = FeatureExtractor(spec)
    clip = noise(16_000)
    loud, _ = extract(*pad([clip]))
    quiet, _ = extract(*pad([clip * 0.003]))
    torch.testing.assert_close(quiet, loud, atol=1e-3, rtol=1e-3)


def test_utterance_normalisation_is_per_coefficient():
    features, _ = FeatureExtractor(FeatureSpec())(*pad([noise(32_000)]))
    assert features.mean(-1).abs().max() < 1e-4
    torch.testing.assert_close(features.std(-1, correction=0), torch.ones(1, 80), atol=1e-3, rtol=0)


def mel_power(samples: np.ndarray, n_mels: int) -> np.ndarray:
    """librosa's bands `(mel, frame)` of NumPy's transform: its own is compiled for 15 s at first."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 200), 400)[::160]
    power = np.abs(np.fft.rfft(windows * get_window("hann", 400))).T ** 2
    return mel(sr=16_000, n_fft=400, n_mels=n_mels, fmax=8000) @ power[:, :100]


def test_log_mel_agrees_with_librosas_bands():
    clip = noise(16_000)
    features, _ = FeatureExtractor(FeatureSpec(normalization="whisper"))(*pad([clip]))
    level = clip.numpy() * (0.08 / float(clip.square().mean().sqrt()))
    expected = np.log10(np.maximum(mel_power(level, 80), 1e-10))
    expected = (np.maximum(expected, expected.max() - 8) + 4) / 4
    np.testing.assert_allclose(features[0].numpy(), expected, atol=1e-3)


def test_mfcc_agree_with_librosas_bands():
    clip = noise(16_000)
    spec = FeatureSpec(kind="mfcc", n_mels=128)
    features, _ = FeatureExtractor(spec)(*pad([clip]))
    decibels = 10 * np.log10(np.maximum(mel_power(clip.numpy(), 128), 1e-10))
    mfcc = dct(np.maximum(decibels, decibels.max() - 80), axis=0, norm="ortho")[:40]
    expected = (mfcc - mfcc.mean(1, keepdims=True)) / mfcc.std(1, keepdims=True)
    np.testing.assert_allclose(features[0].numpy(), expected, atol=5e-3)


def test_stacked_rows_are_those_of_the_two_kinds():
    samples = pad([noise(12_345), noise(30_000, seed=1)])
    spec = FeatureSpec(kind="mfcc_log_mel", n_fft=512, n_mels=128)
    stacked, lengths = FeatureExtractor(spec)(*samples)
    mfcc, mfcc_lengths = FeatureExtractor(replace(spec, kind="mfcc"))(*samples)
    log_mel, _ = FeatureExtractor(replace(spec, kind="log_mel"))(*samples)
    assert stacked.shape[1] == spec.bands == 168
    assert lengths.tolist() == mfcc_lengths.tolist()
    torch.testing.assert_close(stacked, torch.cat([mfcc, log_mel], dim=1))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_spec_knows_its_rows(spec):
    features, _ = FeatureExtractor(spec)(*pad([noise(4000)]))
    assert features.shape[1] == spec.bands


def test_silence_and_a_single_sample_stay_finite():
    for clip in (torch.zeros(8000), torch.ones(1)):
        for spec in SPECS:
            features, lengths = FeatureExtractor(spec)(*pad([clip]))
            assert torch.isfinite(features).all()
            assert lengths.item() >= 1

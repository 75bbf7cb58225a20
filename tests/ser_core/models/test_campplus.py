"""CAM++: its check values, and that folding, slicing and dividing it change nothing."""

import numpy as np
import pytest
import soundfile
import torch

from ser_core.checkpoint import bundle, voices
from ser_core.models import torchaudio_import
from ser_core.models.campplus import BANDS, CAMPlusPlus, MiddleBlock, fold, middle_weights
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor, KaldiFilterbank, fbank_of, set_level
from train.export.voices import SPEAKER, load_network


@pytest.fixture(scope="module")
def speaker() -> CAMPlusPlus:
    return fold(load_network(CAMPlusPlus(), SPEAKER, voices.folder()))


def fbank(samples: torch.Tensor) -> torch.Tensor:
    """Kaldi's filterbank `(frame, 80)` as torchaudio computes it; frame `i` begins at sample `160 i`."""
    kaldi = torchaudio_import.load().compliance.kaldi
    return kaldi.fbank(samples[None], num_mel_bins=BANDS, sample_frequency=16_000)


def centred(path) -> torch.Tensor:
    features = fbank(torch.from_numpy(soundfile.read(path, dtype="float32")[0]))
    return (features - features.mean(0))[None]


def test_the_check_values_of_the_published_weights_hold(speaker, ravdess_angry):
    features = centred(ravdess_angry)
    assert features.shape == (1, 338, BANDS)
    with torch.inference_mode():
        embedding = speaker(features)[0]
    # shared/weights/README.md: with the ReLU that code in circulation adds
    positive = embedding.relu()
    assert positive.norm().item() == pytest.approx(4.793, abs=1e-3)
    expected = [0, 0.1972, 0.2912, 0, 0, 0.6513, 0, 0.9467]
    assert positive[:8].tolist() == pytest.approx(expected, abs=1e-3)
    assert (embedding < 0).any(), "the embedding itself has no ReLU"


def test_one_voice_through_all_emotions_is_nearer_to_itself_than_to_another(speaker, shared_data):
    rows = []
    with torch.inference_mode():
        for actor in ("05", "12"):
            for emotion in range(1, 9):
                name = f"Actor_{actor}/03-01-0{emotion}-01-01-01-{actor}.flac"
                rows.append(speaker(centred(shared_data / "ravdess" / name))[0])
    unit = torch.nn.functional.normalize(torch.stack(rows))
    cosines = unit @ unit.T
    within = (cosines[:8, :8].sum() - 8) / 56
    assert within > cosines[:8, 8:].mean() + 0.15


def test_folding_the_normalisations_changes_nothing():
    torch.manual_seed(3)
    model = CAMPlusPlus().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    features = torch.randn(2, 120, BANDS)
    with torch.inference_mode():
        before = model(features)
        after = fold(model)(features)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_a_stretch_of_over_two_seconds_has_a_mask_for_each_part(speaker):
    torch.manual_seed(5)
    features = torch.randn(1, 460, BANDS)
    with torch.inference_mode():
        assert speaker(features).shape == (1, 192)
        assert not torch.allclose(speaker(features), speaker(features.flip(1)))


def test_frames_depend_only_on_the_samples_that_they_say():
    torch.manual_seed(1)
    samples = torch.randn(16_000) * 0.1
    whole, part = fbank(samples), fbank(samples[160 * 20 : 160 * 29 + 400])
    torch.testing.assert_close(whole[20:30], part)


def test_the_middle_block_is_the_lower_part_of_the_whole(speaker, ravdess_angry):
    features = centred(ravdess_angry)
    lower = MiddleBlock().eval()
    lower.head, lower.xvector = speaker.head, speaker.xvector
    lengths = torch.tensor([features.shape[1]])
    with torch.inference_mode():
        states, valid = lower(features.transpose(1, 2), lengths)
        rest = ("transit2", "block3", "transit3", "out_nonlinear", "dense")
        x = states.transpose(1, 2)
        for name in rest:
            x = speaker.xvector[name](x)
        assert states.shape == (1, 169, MiddleBlock.size)
        assert valid.all()
        torch.testing.assert_close(x, speaker(features), rtol=1e-3, atol=1e-3)


def test_padding_changes_nothing_in_the_middle_block():
    torch.manual_seed(2)
    lower = MiddleBlock().eval()
    features, lengths = torch.randn(2, BANDS, 460), torch.tensor([460, 231])
    with torch.inference_mode():
        both, valid = lower(features, lengths)
        alone, _ = lower(features[1:, :, :231], lengths[1:])
    assert valid.sum(1).tolist() == [230, 116]
    torch.testing.assert_close(both[1, :116], alone[0], rtol=1e-4, atol=1e-4)


def test_the_filterbank_of_the_features_is_kaldis():
    torch.manual_seed(4)
    samples, lengths = torch.randn(1, 16_000) * torch.linspace(0.01, 0.2, 16_000), torch.tensor([16_000])
    extract = FeatureExtractor(FeatureSpec(kind="log_mel_fbank", normalization="whisper"))
    features, frames = extract(samples, lengths)
    assert features.shape == (1, 2 * BANDS, 100)
    assert frames.tolist() == [100]
    # A frame of the features is centred where the same frame of Kaldi begins.
    kaldi = fbank(torch.nn.functional.pad(set_level(samples, lengths)[0], (200, 200)))[:100]
    torch.testing.assert_close(features[0, BANDS:].T, kaldi - kaldi.mean(0), rtol=1e-3, atol=1e-3)


def test_the_filterbank_of_one_clip_is_that_of_the_features():
    samples = torch.randn(1, 9_300, generator=torch.Generator().manual_seed(1)) * 0.1
    spec = FeatureSpec(kind="log_mel_fbank", normalization="whisper")
    features, _ = FeatureExtractor(spec)(samples, torch.tensor([9_300]))
    of_clip = fbank_of(samples[0], KaldiFilterbank(spec))
    torch.testing.assert_close(of_clip, features[0, BANDS:].T, rtol=0, atol=1e-6)


def test_the_lower_part_is_the_middle_block(speaker):
    lower = load_network(MiddleBlock(), SPEAKER, voices.folder())
    features = 3 * torch.randn(1, 131, BANDS, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        states, _ = lower(features.transpose(1, 2))
        torch.testing.assert_close(speaker.lower(features), states, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(speaker.upper(states), speaker(features), rtol=1e-3, atol=1e-4)


def test_other_weights_have_another_fingerprint():
    torch.manual_seed(6)
    whole = CAMPlusPlus()
    lower = MiddleBlock()
    assert middle_weights(lower.state_dict()) != middle_weights(whole.state_dict())
    lower.load_state_dict({name: whole.state_dict()[name] for name in lower.state_dict()})
    assert middle_weights(lower.state_dict()) == middle_weights(whole.state_dict())
    lower.head.conv2.weight.data[0, 0, 0, 0] += 1e-3
    assert middle_weights(lower.state_dict()) != middle_weights(whole.state_dict())


def test_the_default_model_reads_the_same_lower_part():
    """Else it would be computed twice, see `MiddleStates`."""
    _, model = bundle.load("default")
    assert middle_weights(model.campplus.state_dict()) == voices.load().middle_weights


@pytest.mark.parametrize("seconds", [0.16, 0.99, 2, 3.01])
def test_onnx_runtime_gives_the_same(speaker, seconds):
    networks = voices.load().networks
    torch.manual_seed(7)
    features = 3 * torch.randn(1, int(100 * seconds), BANDS)
    with torch.inference_mode():
        states = speaker.lower(features)
        vector = speaker.upper(states)
    np.testing.assert_allclose(networks.lower(features[0].numpy()), states[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(networks.upper(states[0].numpy()), vector[0], rtol=1e-3, atol=1e-4)

"""Architectures around published networks: their sizes, their weights' names, and what they hear."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio
from torch import nn
from torchaudio.models import wav2vec2_model, wavlm_model
from torchaudio.pipelines._wav2vec2.utils import _get_model

from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.pretrained import PUBLISHED, PretrainedError
from ser_core.models.registry import build
from ser_core.models.speech_encoder import ENCODERS

TINY = {  # the published architectures with two narrow layers
    "extractor_conv_layer_config": [(16, 10, 5), *[(16, 3, 2)] * 4, *[(16, 2, 2)] * 2],
    "encoder_embed_dim": 32,
    "encoder_projection_dropout": 0.1,
    "encoder_pos_conv_kernel": 16,
    "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 2,
    "encoder_num_heads": 4,
    "encoder_attention_dropout": 0.1,
    "encoder_ff_interm_features": 64,
    "encoder_ff_interm_dropout": 0.1,
    "encoder_dropout": 0.1,
    "encoder_layer_drop": 0.0,
    "aux_num_out": None,
}
BASE = {"extractor_mode": "group_norm", "extractor_conv_bias": False, "encoder_layer_norm_first": False}
LARGE = {"extractor_mode": "layer_norm", "extractor_conv_bias": True, "encoder_layer_norm_first": True}
RELATIVE = {"encoder_num_buckets": 32, "encoder_max_distance": 128}
TINY_ENCODERS = {
    "TINY_BASE": partial(wav2vec2_model, **TINY, **BASE),
    "TINY_LARGE": partial(wav2vec2_model, **TINY, **LARGE),
    "TINY_WAVLM": partial(wavlm_model, **TINY, **BASE, **RELATIVE),
    "TINY_WAVLM_LARGE": partial(wavlm_model, **TINY, **LARGE, **RELATIVE),
}


@pytest.fixture(params=TINY_ENCODERS)
def tiny(request, monkeypatch) -> str:
    """The name of a small encoder, beside the published ones for as long as the test runs."""
    monkeypatch.setitem(ENCODERS, request.param, TINY_ENCODERS[request.param])
    torch.manual_seed(0)
    return request.param


def logits_of(model: nn.Module, *clips: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(*FeatureExtractor(model.features)(*pad(list(clips))))


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    return torch.randn(int(16_000 * seconds), generator=torch.Generator().manual_seed(seed))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("name", "size"), [("vgg16_transfer", 14_714_688), ("vggish_transfer", 72_141_184)])
def test_published_networks_have_their_published_size(name, size):
    assert count(build(name, 8).backbone) == size


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_are_those_of_torchaudio(name):
    published = getattr(torchaudio.pipelines, name)
    with torch.device("meta"):  # shapes without memory
        ours, theirs = ENCODERS[name](), _get_model(published._model_type, published._params)
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == shapes
    assert PUBLISHED[name].url == f"https://download.pytorch.org/torchaudio/models/{published._path}"


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.73, 2.0])
def test_padding_does_not_change_what_encoders_say(tiny, seconds):
    model = build("speech_encoder", 8, bundle=tiny)
    clip = noise(seconds)
    alone = logits_of(model, clip)
    torch.testing.assert_close(logits_of(model, clip, noise(3.0))[:1], alone, atol=1e-5, rtol=1e-4)
    assert (logits_of(model, noise(seconds, seed=1)) - alone).abs().max() > 1e-4


def test_a_clip_alone_goes_through_an_encoder_as_torchaudio_sends_it(tiny):
    model = build("speech_encoder", 8, bundle=tiny).eval()
    samples, lengths = FeatureExtractor(model.features)(*pad([noise(1.0)]))
    with torch.inference_mode():
        steps, count = model._convolve(samples, lengths)
        states = model._transform(steps, torch.ones(1, steps.shape[1], dtype=torch.bool))
        expected, _ = model.backbone.extract_features(samples[:, 0])
    assert count.tolist() == [49]  # of 20 ms
    torch.testing.assert_close(states[1], expected[0], atol=1e-5, rtol=1e-4)
    if model.backbone.encoder.transformer.layer_norm_first:
        torch.testing.assert_close(states[2], expected[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_every_free_parameter_of_an_encoder_learns_and_no_other(tiny, frozen):
    model = build("speech_encoder", 8, bundle=tiny, frozen=frozen).train()
    features = FeatureExtractor(model.features)(*pad([noise(1.0), noise(0.6)]))
    model(*features).square().sum().backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    new = {name for name, _ in model.named_parameters() if not name.startswith("backbone.")}
    assert learning == (new if frozen else {name for name, _ in model.named_parameters()})
    assert model.backbone.training is not frozen


@pytest.mark.parametrize("name", ["vgg16_transfer", "vggish_transfer"])
def test_a_frozen_network_trains_its_head_alone(name):
    model = build(name, 8, frozen=True).train()
    model(*FeatureExtractor(model.features)(*pad([noise(1.0), noise(0.6)]))).square().sum().backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {f"head.{name}" for name, _ in model.head.named_parameters()}


def as_published(model: nn.Module) -> dict[str, torch.Tensor]:
    """An encoder's weights under their names in torchaudio's files, which know the older weight norm."""
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = {}
    for name, value in model.backbone.state_dict().items():
        for new, old in names.items():
            name = name.replace(new, old)
        weights[name] = value
    return weights


def test_encoders_load_their_published_names(tiny, tmp_path):
    source, target = (build("speech_encoder", 8, bundle=tiny) for _ in range(2))
    torch.save(as_published(source) | {"aux.weight": torch.zeros(29, 32)}, tmp_path / "encoder.pth")
    target.load_pretrained(tmp_path / "encoder.pth")
    torch.testing.assert_close(dict(target.backbone.state_dict()), dict(source.backbone.state_dict()))
    lower = build("speech_encoder", 8, bundle=tiny, layers=1)
    lower.load_pretrained(tmp_path / "encoder.pth")
    torch.testing.assert_close(
        lower.backbone.encoder.transformer.layers[0].attention.state_dict(),
        source.backbone.encoder.transformer.layers[0].attention.state_dict(),
    )


def test_an_encoder_is_loaded_by_its_name_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_CACHE", str(tmp_path))
    monkeypatch.setenv("SER_OFFLINE", "1")
    source, target = (build("speech_encoder", 8, bundle="HUBERT_BASE", layers=1) for _ in range(2))
    torch.save(as_published(source), tmp_path / "HUBERT_BASE.pth")
    target.load_pretrained("HUBERT_BASE")
    weight = "encoder.feature_projection.projection.weight"
    torch.testing.assert_close(target.backbone.state_dict()[weight], source.backbone.state_dict()[weight])
    with pytest.raises(PretrainedError, match="WAVLM_BASE is not in") as caught:
        target.load_pretrained("WAVLM_BASE")
    assert caught.value.code == "offline"


def test_vgg16_loads_torchvision_names_and_ignores_the_dense_layers(tmp_path):
    source, target = build("vgg16_transfer", 8), build("vgg16_transfer", 8)
    weights = {f"features.{name}": value for name, value in source.backbone.state_dict().items()}
    assert {"features.0.weight", "features.28.bias"} <= set(
        weights
    )  # the first and the last of torchvision's
    torch.save(weights | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "vgg16.pth")
    target.load_pretrained(tmp_path / "vgg16.pth")
    torch.testing.assert_close(target.backbone[28].weight, source.backbone[28].weight)


def test_vggish_loads_the_names_of_its_conversion(tmp_path):
    source, target = build("vggish_transfer", 8), build("vggish_transfer", 8)
    weights = source.backbone.state_dict()
    assert {"features.13.weight", "embeddings.4.bias"} <= set(weights)
    torch.save(weights, tmp_path / "vggish.pth")
    target.load_pretrained(tmp_path / "vggish.pth")
    torch.testing.assert_close(target.backbone.embeddings[4].weight, source.backbone.embeddings[4].weight)


@pytest.mark.parametrize("name", ["vgg16_transfer", "vggish_transfer", "speech_encoder", "whisper_tiny"])
def test_weights_of_something_else_are_refused(name, tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 1, 5, 5)}, tmp_path / "other.pth")
    model = build(name, 8, **({"layers": 1} if name == "speech_encoder" else {}))
    with pytest.raises(PretrainedError, match=r"other\.pth does not hold") as caught:
        model.load_pretrained(tmp_path / "other.pth")
    assert caught.value.code == "wrong_weights"
    with pytest.raises(PretrainedError, match="neither a file nor") as caught:
        model.load_pretrained("resnet")
    assert caught.value.code == "not_found"


def test_whisper_asks_for_its_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_CACHE", str(tmp_path))
    monkeypatch.setenv("SER_OFFLINE", "1")
    with pytest.raises(PretrainedError, match="openai/whisper-tiny is not in") as caught:
        build("whisper_tiny", 8).load_pretrained(Path("openai/whisper-tiny"))
    assert caught.value.code == "offline"


def test_unknown_encoders_and_layers_are_named():
    with pytest.raises(ValueError, match=r"'WAV2VEC9'.*WAVLM_LARGE"):
        build("speech_encoder", 8, bundle="WAV2VEC9")
    with pytest.raises(ValueError, match="WAV2VEC2_BASE has 12 layers, not 13"):
        build("speech_encoder", 8, layers=13)


def test_vggish_sees_magnitudes_as_it_was_trained_to():
    model = build("vggish_transfer", 8)
    batches = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0]))
    samples = noise(1.5) * 0.08 / noise(1.5).square().mean().sqrt()  # at the level that features have
    logits_of(model, samples)
    spectrum = np.lib.stride_tricks.sliding_window_view(np.pad(samples.numpy(), 256), 512)[::160][:150]
    magnitude = np.abs(np.fft.rfft(spectrum * np.hanning(513)[:-1]))
    bank = torchaudio.functional.melscale_fbanks(257, 125.0, 7500.0, 64, 16_000, mel_scale="htk").numpy()
    expected = np.log(magnitude @ bank + 0.01)  # mels of magnitudes, as in Hershey et al.
    patches = batches[0][:, 0].numpy()
    assert patches.shape == (2, 96, 64)  # 1.5 s: frames 0 to 95 and 48 to 143
    error = patches[0] - expected[:96]  # nepers: 0.115 are 1 dB
    assert 0 < error.mean() < 0.15
    assert np.abs(error).max() < 0.8
    np.testing.assert_array_equal(patches[0, 48:], patches[1, :48])


def test_a_short_clip_is_one_patch_that_ends_in_silence():
    model = build("vggish_transfer", 8)
    batches = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0]))
    logits_of(model, noise(0.3), noise(0.96))
    assert batches[0].shape == (2, 1, 96, 64)
    torch.testing.assert_close(batches[0][0, 0, 30:], torch.full((66, 64), float(np.log(0.01))))

"""Every architecture takes any length of speech and ignores padding."""

from copy import deepcopy

import pytest
import torch
from safetensors.torch import save_file
from support import tiny_encoder

from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.registry import ARCHITECTURES, build, build_uninitialised
from ser_core.models.speech_encoder import ENCODERS

PUBLISHED_SIZES = {  # as the lineage's projects printed them, with 8 classes
    "stacked_cnn_lstm": 147_816,
    "stacked_cnn_attention_lstm": 582_761,
    "parallel_cnn_transformer": 395_176,
    "parallel_cnn_blstm_attention": 263_593,
    "parallel_2cnn_transformer": 248_488,
}
WITH_POSITIONS = [
    "parallel_cnn_transformer",
    "parallel_2cnn_transformer",
    "coattention_mfcc_mel",
    "cnn16_transformer",
    "parallel_transformer_attention_lstm",
]


SMALLER = {"speech_encoder": {"bundle": "TINY"}}  # its layers are all alike


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def model(request):
    """Each architecture; tests must not change it."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "TINY", tiny_encoder)
        return build(request.param, 8, **SMALLER.get(request.param, {})).eval()


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.37, 3.0])
def test_padding_does_not_change_logits(model, seconds):
    extract = FeatureExtractor(model.features)
    clip = torch.randn(int(16_000 * seconds), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        alone = model(*extract(*pad([clip])))
        beside = model(*extract(*pad([clip, torch.randn(64_000)])))
    torch.testing.assert_close(beside[:1], alone, atol=1e-4, rtol=1e-4)


def test_all_parameters_learn(model):
    torch.manual_seed(0)
    model = deepcopy(model).train()
    features, lengths = FeatureExtractor(model.features)(*pad([torch.randn(48_000), torch.randn(30_000)]))
    model(features, lengths).square().sum().backward()
    if hasattr(model, "read_against"):  # its second head reads clips against their session
        model.read_against(model.embed(features, lengths), model.mean).square().sum().backward()
    learning = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    idle = [name for name, grad in learning.items() if grad is None or not grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize(("name", "size"), PUBLISHED_SIZES.items())
def test_networks_have_the_published_size(name, size):
    assert sum(p.numel() for p in build(name, 8).parameters()) == size


@pytest.mark.parametrize("name", ["parallel_cnn_transformer", "vgg16_transfer", "whisper_tiny_distilled"])
def test_a_network_that_waits_for_its_weights_draws_none_and_is_whole_with_them(name):
    drawn = build(name, 8).eval()
    before = torch.get_rng_state()
    waiting = build_uninitialised(name, 8).eval()
    assert torch.equal(torch.get_rng_state(), before)
    waiting.load_state_dict(drawn.state_dict())
    features, lengths = torch.randn(1, drawn.features.bands, 200), torch.tensor([200])
    with torch.inference_mode():
        assert torch.equal(waiting(features, lengths), drawn(features, lengths))


@pytest.mark.parametrize("name", WITH_POSITIONS)
def test_positions_cost_no_parameters_and_ignore_padding(name):
    torch.manual_seed(0)
    blind, model = build(name, 8).eval(), build(name, 8, positions=True).eval()
    model.load_state_dict(blind.state_dict())
    features = torch.randn(1, model.features.bands, 300)
    with torch.inference_mode():
        alone = model(features, torch.tensor([300]))
        padded = model(torch.nn.functional.pad(features, (0, 77)), torch.tensor([300]))
        unaware = blind(features, torch.tensor([300]))
    torch.testing.assert_close(padded, alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(unaware, alone, atol=1e-4)


@pytest.mark.parametrize("name", [*PUBLISHED_SIZES, "cnn_lstm", "coattention_mfcc_mel"])
def test_networks_train_in_bfloat16_as_recipes_do(name):
    model = build(name, 8).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(torch.randn(2, model.features.bands, 200), torch.tensor([200, 90]))
    logits.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("name", "size"), [("whisper_tiny", 8_208_384), ("whisper_base", 20_590_592)])
def test_whisper_encoders_have_the_published_size(name, size):
    assert sum(p.numel() for p in build(name, 8).encoder.parameters()) == size


def test_whisper_loads_weights_named_as_on_the_hub(tmp_path):
    source, target = build("whisper_tiny", 8), build("whisper_tiny", 8)
    weights = {f"model.encoder.{k}": v.half() for k, v in source.encoder.state_dict().items()}
    save_file(weights | {"model.decoder.extra": torch.zeros(1)}, tmp_path / "tiny.safetensors")
    target.load_pretrained(tmp_path / "tiny.safetensors")
    torch.testing.assert_close(target.encoder.conv1.weight, source.encoder.conv1.weight, atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="does not hold this encoder"):
        build("whisper_base", 8).load_pretrained(tmp_path / "tiny.safetensors")


def test_an_unknown_architecture_is_named():
    with pytest.raises(ValueError, match=r"'resnet'.*parallel_cnn_transformer"):
        build("resnet", 8)

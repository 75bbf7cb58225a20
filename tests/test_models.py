"""Every architecture takes any length of speech and ignores padding."""

import pytest
import torch
from safetensors.torch import save_file

from ser_core.features import FeatureExtractor, pad
from ser_core.models import ARCHITECTURES, build
from ser_core.models.blocks import masked_adaptive_mean


@pytest.fixture(params=sorted(ARCHITECTURES))
def model(request):
    torch.manual_seed(0)
    return build(request.param, 8).eval()


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.37, 3.0])
def test_padding_does_not_change_logits(model, seconds):
    extract = FeatureExtractor(model.features)
    clip = torch.randn(int(16_000 * seconds), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        alone = model(*extract(*pad([clip])))
        beside = model(*extract(*pad([clip, torch.randn(64_000)])))
    torch.testing.assert_close(beside[:1], alone, atol=1e-4, rtol=1e-4)


def test_all_parameters_learn(model):
    features, lengths = FeatureExtractor(model.features)(*pad([torch.randn(48_000), torch.randn(30_000)]))
    model.train()(features, lengths).square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_parallel_cnn_transformer_has_the_published_size():
    assert sum(p.numel() for p in build("parallel_cnn_transformer", 8).parameters()) == 395_176


@pytest.mark.parametrize(("name", "size"), [("whisper_tiny", 8_208_384), ("whisper_base", 20_590_592)])
def test_whisper_encoders_have_the_published_size(name, size):
    assert sum(p.numel() for p in build(name, 8).encoder.parameters()) == size


def test_adaptive_mean_is_the_identity_at_its_own_size():
    x = torch.randn(2, 3, 9)
    bins = masked_adaptive_mean(x, torch.tensor([4, 9]), 4)
    torch.testing.assert_close(bins[0], x[0, :, :4])
    torch.testing.assert_close(bins[1], torch.nn.functional.adaptive_avg_pool1d(x[1], 4))


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

"""Learning rates and frozen layers of pretrained models."""

import pytest
import torch

from ser_core.models.registry import build
from train.errors import RunError
from train.fitting.module import EmotionModule
from train.recipe import Recipe

PRETRAINED = ("whisper_tiny", "vgg16_transfer", "vggish_transfer", "speech_encoder")
LAYERS = {"whisper_tiny": 4, "vgg16_transfer": 5, "vggish_transfer": 5, "speech_encoder": 2}


def module(architecture: str, **changes) -> EmotionModule:
    options = {"speech_encoder": {"layers": 2}}.get(architecture, {}) | changes.pop("options", {})
    recipe = Recipe("m", architecture, "weights.bin", options, learning_rate=1e-3, **changes)
    return EmotionModule(recipe, 8)


@pytest.mark.parametrize("architecture", PRETRAINED)
def test_parts_hold_what_is_pretrained_once_and_nothing_of_the_head(architecture):
    model = build(architecture, 8, **({"layers": 2} if architecture == "speech_encoder" else {}))
    parts = model.pretrained_parts()
    assert len(parts) == LAYERS[architecture] + 1
    inside = [name_of(model, parameter) for part in parts for parameter in part.parameters()]
    assert len(set(inside)) == len(inside)
    source = "encoder." if architecture == "whisper_tiny" else "backbone."
    expected = {name for name, _ in model.named_parameters() if name.startswith(source)}
    left = expected - set(inside)
    assert set(inside) <= expected
    assert all("embed_positions" in name or "mask_embedding" in name for name in left)


def name_of(model: torch.nn.Module, target: torch.nn.Parameter) -> str:
    return next(name for name, parameter in model.named_parameters() if parameter is target)


@pytest.mark.parametrize("architecture", PRETRAINED)
def test_pretrained_layers_learn_more_slowly_towards_the_input(architecture):
    network = module(architecture, encoder_learning_rate=1e-4, layer_decay=0.5)
    new, *groups = network._parameter_groups()
    assert new["lr"] == 1e-3
    stem = architecture in ("whisper_tiny", "speech_encoder")
    assert [group["lr"] for group in groups] == [1e-4 * 0.5**i for i in range(LAYERS[architecture] + stem)]
    assert {id(p) for p in network.model.head.parameters()} <= {id(p) for p in new["params"]}


@pytest.mark.parametrize("architecture", PRETRAINED)
def test_frozen_layers_and_the_stem_do_not_learn(architecture):
    network = module(architecture, frozen_layers=1)
    stem, first, second, *_ = network.model.pretrained_parts()
    assert not any(p.requires_grad for part in (stem, first) for p in part.parameters())
    assert all(p.requires_grad for p in second.parameters())
    learning = {id(p) for group in network._parameter_groups() for p in group["params"]}
    assert not any(id(p) in learning for p in first.parameters())


@pytest.mark.parametrize("architecture", PRETRAINED[1:])
def test_the_option_frozen_leaves_the_new_layers_alone_to_learn(architecture):
    groups = module(architecture, options={"frozen": True})._parameter_groups()
    assert [group["lr"] for group in groups] == [1e-3]


def test_more_frozen_layers_than_there_are_is_an_error():
    with pytest.raises(
        RunError, match="frozen_layers is 5, whisper_tiny has 4 pretrained layers: freeze fewer"
    ):
        module("whisper_tiny", frozen_layers=5)


def test_a_network_without_pretrained_weights_takes_none():
    with pytest.raises(RunError, match="cnn_lstm takes no pretrained weights: remove"):
        module("cnn_lstm")

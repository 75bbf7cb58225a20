"""The linear probe: its fit, its class mask and weights, and a run that ships it with the tuned model."""

import json

import pytest
import torch
from safetensors.torch import save_file
from support import syllables, write_wav
from torch import nn

from ser_core.checkpoint import bundle as bundles
from ser_core.models.registry import build
from train.corpora import Clip
from train.corpora.splits import Split
from train.fitting.fit import fit
from train.fitting.probe import fit_linear
from train.recipe import Recipe


def blobs(n: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around three centres, and which centre each belongs to."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(n) % 3
    return torch.eye(3)[targets] * 4 + torch.randn(n, 3, generator=generator), targets


def fitted(rows, targets, allowed=None, weights=None, decay: float = 1e-3) -> nn.Linear:
    linear = nn.Linear(3, 3)
    allowed = torch.ones(len(rows), 3, dtype=torch.bool) if allowed is None else allowed
    weights = torch.ones(len(rows)) if weights is None else weights
    fit_linear(linear, rows, targets, allowed, weights, decay)
    return linear


def test_it_separates_what_can_be_separated():
    rows, targets = blobs()
    assert (fitted(rows, targets)(rows).argmax(-1) == targets).float().mean() > 0.95


def test_more_decay_gives_smaller_weights():
    rows, targets = blobs()
    sizes = [fitted(rows, targets, decay=decay).weight.square().sum().item() for decay in (1e-4, 1e-2, 1.0)]
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]


def test_a_class_a_corpus_lacks_is_not_pushed_away_by_it():
    rows, targets = blobs()
    remaining = targets != 2
    allowed = torch.ones(int(remaining.sum()), 3, dtype=torch.bool)
    allowed[:, 2] = False
    masked = fitted(rows[remaining], targets[remaining], allowed)
    assert masked.weight[2].abs().max() < 1e-6
    assert masked.bias[2].abs() < 1e-6


def test_a_weightless_clip_teaches_nothing():
    rows, targets = blobs()
    wrong = torch.cat([targets, (targets + 1) % 3])
    weights = torch.cat([torch.ones(len(rows)), torch.zeros(len(rows))])
    weighted = fitted(torch.cat([rows, rows]), wrong, weights=weights)
    torch.testing.assert_close(weighted.weight, fitted(rows, targets).weight, atol=0.05, rtol=0.05)


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    torch.manual_seed(1)
    encoder = build("whisper_tiny", 8).encoder.state_dict()
    save_file({f"model.encoder.{k}": v.half() for k, v in encoder.items()}, tmp_path / "tiny.safetensors")
    return Recipe(
        name="probed",
        architecture="whisper_tiny",
        pretrained=str(tmp_path / "tiny.safetensors"),
        corpora=("made",),
        epochs=1,
        batch_size=4,
        frozen_layers=2,
        probe_decay=1e-3,
    )


def test_a_run_ships_both_opinions(recipe, tmp_path):
    clips = []
    for number, (emotion, pitch) in enumerate([("sad", 90.0), ("happy", 240.0)] * 3):
        path = write_wav(tmp_path / f"{number}.wav", syllables(1, seed=number, pitch_hz=pitch))
        clips.append(Clip("made", path, f"made/{number}", "female", emotion, "en"))
    metrics = fit(recipe, Split("everyone", tuple(clips), (), ()), tmp_path / "run", "cpu")
    assert metrics["split"] == "everyone"
    bundle, model = bundles.load(tmp_path / "run" / "bundle")
    assert bundle.architecture == "whisper_tiny_probe"
    described = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert described["probe_decay"] == 1e-3
    features, lengths = torch.randn(2, 80, 150), torch.tensor([150, 120])
    with torch.inference_mode():
        both = model(features, lengths).exp()
        tuned = model.tuned(features, lengths).softmax(-1)
        rows = (model.statistics(features, lengths) - model.mean) / model.scale
        probed = model.probe(rows).softmax(-1)
    torch.testing.assert_close(both, (tuned + probed) / 2)
    assert model.scale.min() > 0

"""Distillation of a small encoder from a large one."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import spoken_corpus

from ser_core.checkpoint import bundle as bundles
from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.registry import build
from train import corpora
from train.augment import from_table
from train.corpora.splits import Split
from train.data.cache import FeatureCache
from train.fitting import distil
from train.fitting.distil import BATCH_SIZE, BUCKET_BATCHES, draw_batch, fit_encoder, teacher_components
from train.fitting.fit import fit
from train.recipe import Recipe, RecipeError
from train.reports import evaluate


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four voices, low and sad or high and happy."""
    folder = spoken_corpus(tmp_path_factory.mktemp("data") / "voices", voices=4, clips=3)
    return corpora.read(folder.parent, ["voices"])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Recipe:
    """Six steps, with random encoders under the hub's names."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    for size in ("tiny", "base"):
        encoder = build(f"whisper_{size}", len(LABELS)).encoder
        weights = {f"model.encoder.{k}": v.half() for k, v in encoder.state_dict().items()}
        save_file(weights, folder / f"{size}.safetensors")
    return Recipe(
        name="small_run",
        architecture="whisper_tiny_distilled",
        pretrained=str(folder / "tiny.safetensors"),
        options={"hidden": 16},
        corpora=("voices",),
        teacher="whisper_base_adaptive",
        teacher_pretrained=str(folder / "base.safetensors"),
        teacher_epochs=6,
        encoder_learning_rate=3e-4,
        epochs=4,
        batch_size=8,
        sessions=1,
        augmentation=from_table({"awgn": {"p": 0.5}}),
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def distilled(recipe, clips, cache, tmp_path_factory):
    return fit_encoder(recipe, clips, tmp_path_factory.mktemp("run"), cache)


def test_it_learns_what_the_teacher_hears(recipe, clips, cache, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    losses = []
    for epochs in (1, 20):
        fit_encoder(replace(recipe, teacher_epochs=epochs), clips, folder(tmp_path / str(epochs)), cache)
        losses.append(caplog.records[-1].args[-1])
    assert losses[1] < 0.95 * losses[0]


def test_the_same_recipe_gives_the_same_encoder_which_is_then_frozen(
    recipe, clips, cache, distilled, tmp_path
):
    assert same(fit_encoder(recipe, clips, tmp_path, cache), distilled)
    assert not any(weight.requires_grad for weight in distilled.encoder.parameters())
    published = build("whisper_tiny_distilled", len(LABELS), hidden=16)
    published.load_pretrained(recipe.pretrained)
    assert not same(published.encoder, distilled.encoder)


def test_a_killed_run_ends_as_an_unbroken_one(recipe, clips, cache, distilled, tmp_path, monkeypatch):
    class Kill(logging.Handler):
        def emit(self, record):
            if record.args[0] == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(distil, "SAVE_STEPS", 2)
    monkeypatch.setattr(distil.log, "handlers", [Kill()])
    distil.log.setLevel(logging.INFO)
    with pytest.raises(KeyboardInterrupt):
        fit_encoder(recipe, clips, tmp_path, cache)
    monkeypatch.undo()
    assert same(fit_encoder(recipe, clips, tmp_path, cache), distilled)


def test_a_run_leaves_a_small_bundle_with_an_encoder_of_its_own(recipe, clips, cache, distilled, tmp_path):
    voices = sorted({clip.speaker for clip in clips})
    parts = (voices[:2], voices[2:3], voices[3:])
    train, validation, test = (tuple(clip for clip in clips if clip.speaker in part) for part in parts)
    metrics = fit(recipe, Split("by_hand", train, validation, test), tmp_path / "run", "cpu", cache)
    saved, model = bundles.load(tmp_path / "run" / "bundle")
    assert saved.architecture == "whisper_tiny_distilled"
    assert sum(weight.numel() for weight in model.parameters()) < 2_000_000
    assert set(metrics["in_sessions"]) == {"every_emotion", "mostly_neutral", "one_emotion"}
    predictions = evaluate.read(tmp_path / "run" / "predictions.csv")
    samples, lengths = pad([torch.from_numpy(s / np.float32(32767)) for s in cache.speech(test)])
    with torch.inference_mode():
        logits = model(*FeatureExtractor(model.features)(samples, lengths)).log_softmax(-1)
    np.testing.assert_allclose(predictions.logits, logits.numpy(), atol=2e-3)


def test_the_strongest_cells_of_the_published_layer_are_kept(recipe):
    published = load_file(recipe.pretrained)
    into, out = (published[f"model.encoder.layers.0.fc{i}.weight"].float() for i in (1, 2))
    strength = into.norm(dim=1) * out.norm(dim=0)
    model = build("whisper_tiny_distilled", len(LABELS))
    model.load_pretrained(recipe.pretrained)
    layer = model.encoder.layers[0]
    cell_strength = layer.fc1.weight.norm(dim=1) * layer.fc2.weight.norm(dim=0)
    torch.testing.assert_close(cell_strength.sort().values, strength.sort().values[-len(cell_strength) :])


def test_what_the_teacher_hears_is_told_by_components_of_one_scale():
    torch.manual_seed(0)
    components = teacher_components(torch.randn(2, 40, 30) * torch.logspace(-3, 3, 30) + 5)
    assert components.shape == (2, 40, 30)
    assert components.mean((0, 1)).abs().max() < 1e-2
    assert components.std().item() == pytest.approx(1)


def test_batches_are_of_similar_length_and_follow_the_shares():
    weights, lengths = torch.tensor([1.0] * 50 + [0.0] * 50), np.arange(100) * 1000
    batches = [draw_batch(weights, lengths, 3, 0, step) for step in range(BUCKET_BATCHES)]
    rows = np.stack([rows for _, rows in batches])
    assert rows.shape == (BUCKET_BATCHES, BATCH_SIZE)
    assert rows.max() < 50
    assert np.ptp(rows, axis=1).max() < 15  # of 50
    assert {int(copy) for copies, _ in batches for copy in copies} == {0, 1, 2}
    assert (draw_batch(weights, lengths, 3, 0, 3)[1] == rows[3]).all()
    assert (draw_batch(weights, lengths, 3, 1, 3)[1] != rows[3]).any()


@pytest.mark.parametrize("lacking", ["teacher_pretrained", "teacher_epochs", "sessions"])
def test_a_teacher_needs_its_weights_and_copies_to_teach_by(recipe, lacking):
    with pytest.raises(RecipeError, match="with a teacher"):
        replace(recipe, **{lacking: type(getattr(recipe, lacking))()})


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether the weights are equal to the bit."""
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())

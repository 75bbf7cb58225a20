"""Fine-tuning of the upper layers of a session-adaptive encoder with its heads."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support import voices

from ser_core.checkpoint import bundle as bundles
from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.registry import build
from train import corpora
from train.augment import from_table
from train.corpora.splits import Split
from train.data.cache import FeatureCache
from train.data.embeddings import Embedder
from train.errors import RunError
from train.fitting import adaptive, tune
from train.fitting.fit import fit
from train.recipe import Recipe, RecipeError
from train.reports import evaluate


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Of six clips, two steps an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "SPEAKERS", 2)
        patch.setattr(tune, "CLIPS", 3)
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four voices, each sad, happy and neutral."""
    folder = voices(tmp_path_factory.mktemp("data"), 4)
    return corpora.read(folder.parent, ["voices"])


@pytest.fixture(scope="module")
def recipe(weights) -> Recipe:
    return Recipe(
        name="tuned",
        architecture="whisper_base_adaptive",
        pretrained=str(weights),
        options={"hidden": 16},
        corpora=("voices",),
        epochs=2,
        batch_size=8,
        sessions=1,
        frozen_layers=2,
        encoder_epochs=3,
        encoder_learning_rate=3e-4,
        augmentation=from_table({"awgn": {"p": 0.5}}),
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def tuned(recipe, clips, cache, tmp_path_factory):
    return tuned_in(tmp_path_factory.mktemp("run"), recipe, clips, cache)


def test_what_stands_above_the_frozen_layers_changes_and_nothing_else(recipe, tuned):
    published = build("whisper_base_adaptive", len(LABELS), hidden=16)
    published.load_pretrained(recipe.pretrained)
    now, then = tuned.encoder.state_dict(), published.encoder.state_dict()
    changed = {name for name in now if not torch.equal(now[name], then[name])}
    assert {name.split(".")[1] for name in changed} == {"2", "3"}
    assert not any(weight.requires_grad for weight in tuned.parameters())


def test_a_killed_run_ends_as_an_unbroken_one(recipe, clips, cache, tuned, tmp_path, monkeypatch):
    class Kill(logging.Handler):
        def emit(self, record):
            if record.args[0] == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(tune, "SAVE_STEPS", 2)
    monkeypatch.setattr(tune.log, "handlers", [Kill()])
    tune.log.setLevel(logging.INFO)
    with pytest.raises(KeyboardInterrupt):
        tuned_in(tmp_path, recipe, clips, cache)
    monkeypatch.undo()
    again = tuned_in(tmp_path, recipe, clips, cache).state_dict()
    for name, tensor in tuned.state_dict().items():
        torch.testing.assert_close(again[name], tensor, atol=0, rtol=0)


def test_what_the_layers_are_given_is_what_the_encoder_gives_them(recipe, clips, cache):
    embedder = Embedder(recipe, cache)
    whole = embedder.embeddings(clips[:3])
    states = embedder.states(clips[:3], 0, 2)
    with torch.inference_mode():
        embeddings = tune._embed(embedder.model, 2, states)
    torch.testing.assert_close(embeddings, whole, atol=0.05, rtol=0.05)  # the states are in bfloat16
    again = Embedder(recipe, cache).states(clips[:3], 0, 2)
    assert all(torch.equal(one, other) for one, other in zip(states, again, strict=True))


def test_a_batch_holds_sessions_of_one_speaker_each():
    names = np.array(["a"] * 20 + ["b"] * 2 + ["c"] * 20)
    share = np.array([1.0] * 22 + [0.0] * 20)
    for seed in range(20):
        copies, rows = tune.draw_batch(names, share, 3, np.random.default_rng(seed))
        assert rows.shape == (tune.SPEAKERS, tune.CLIPS)
        assert all(len(set(names[session])) == 1 for session in rows)
        assert "c" not in names[rows]
        assert set(copies) <= {0, 1, 2}
        assert all(len(set(session)) == tune.CLIPS for session in rows if names[session[0]] == "a")


def test_a_run_is_tested_with_the_tuned_encoder(recipe, clips, cache, tmp_path):
    speakers = sorted({clip.speaker for clip in clips})
    parts = (speakers[:2], speakers[2:3], speakers[3:])
    train, validation, test = (tuple(clip for clip in clips if clip.speaker in part) for part in parts)
    fit(recipe, Split("by_hand", train, validation, test), tmp_path / "run", "cpu", cache)
    _, model = bundles.load(tmp_path / "run" / "bundle")
    predictions = evaluate.read(tmp_path / "run" / "predictions.csv")
    samples, lengths = pad([torch.from_numpy(s / np.float32(32767)) for s in cache.speech(test)])
    with torch.inference_mode():
        logits = model(*FeatureExtractor(model.features)(samples, lengths)).log_softmax(-1)
    np.testing.assert_allclose(predictions.logits, logits.numpy(), atol=2e-3)
    assert "Fine-tuned" in (tmp_path / "run" / "README.md").read_text()


def test_a_mask_takes_little_and_leaves_the_rest():
    torch.manual_seed(0)
    state = torch.ones(100, 4)
    silent = [int((tune.mask_steps(state) == 0).all(1).sum()) for _ in range(50)]
    assert 0 < max(silent) <= tune.MASKS * tune.MASKED * 100
    assert bool((state == 1).all())
    assert tune.mask_steps(torch.ones(1, 4)).sum() == 4  # the shortest clip keeps its only step


def test_layers_that_are_read_cannot_all_be_frozen(recipe, clips, cache, tmp_path):
    with pytest.raises(RunError, match="frozen_layers is 3"):
        tuned_in(tmp_path, replace(recipe, frozen_layers=3), clips, cache)


def test_only_session_adaptive_architectures_are_tuned_so(recipe):
    with pytest.raises(RecipeError, match="encoder_epochs"):
        replace(recipe, sessions=0)


def tuned_in(folder: Path, recipe: Recipe, clips, cache: FeatureCache):
    embedder = Embedder(recipe, cache)
    return tune.tune(adaptive.fit_heads(recipe, clips, embedder), recipe, clips, embedder, folder)

"""The heads of a session-adaptive model: fitted on copies of clips, tested in sessions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support import voices

from ser_core.checkpoint import bundle as bundles
from ser_core.emotions import LABELS
from ser_core.models.registry import build
from ser_core.models.session import Session
from train import corpora
from train.augment import from_table
from train.corpora.splits import Split
from train.data.cache import FeatureCache
from train.data.embeddings import Embedder
from train.fitting import adaptive
from train.fitting.adaptive import class_offsets, session_means
from train.fitting.fit import fit
from train.recipe import Recipe
from train.reports import sessions

pytestmark = pytest.mark.usefixtures("small_base")
SIZE = 384  # of its embeddings


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Six voices, each sad, happy and neutral."""
    folder = voices(tmp_path_factory.mktemp("data"), 6)
    return corpora.read(folder.parent, ["voices"])


@pytest.fixture(scope="module")
def recipe(weights) -> Recipe:
    return Recipe(
        name="adaptive_run",
        architecture="whisper_base_adaptive",
        pretrained=str(weights),
        options={"hidden": 16},
        corpora=("voices",),
        epochs=4,
        batch_size=8,
        sessions=1,
        augmentation=from_table({"speed": {"p": 1.0}, "awgn": {"p": 0.5}}),
    )


@pytest.fixture(scope="module")
def split(clips) -> Split:
    def of(*speakers: str):
        return tuple(clip for clip in clips if clip.speaker.removeprefix("voices").strip("_/") in speakers)

    return Split("by_hand", of("0", "1", "2"), of("3"), of("4", "5"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def run(recipe, split, cache, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "by_hand"
    fit(recipe, split, folder, "cpu", cache)
    return folder


def test_offsets_of_classes_are_free_of_who_speaks():
    speakers = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    targets = torch.tensor([0, 2, 3, 0, 2, 3, 0, 2])  # the third speaker lacks a class
    voice, emotion = torch.randn(3, 5) * 10, torch.randn(len(LABELS), 5)
    offsets = class_offsets(voice[speakers] + emotion[targets], targets, speakers)
    expected = emotion - emotion[[0, 2, 3]].mean(0)
    torch.testing.assert_close(
        offsets[[0, 2]] - offsets[3], expected[[0, 2]] - expected[3], atol=0.2, rtol=0.1
    )
    assert offsets[1].abs().sum() == 0


def test_a_session_mean_is_of_some_of_the_speakers_own_clips():
    rows, speakers = torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 1, 1, 1])
    assert session_means(rows, speakers, None, 0).flatten().tolist() == [1.0, 4.0]
    single = session_means(rows, speakers, 1, 0).flatten().tolist()
    assert single[0] in (0.0, 1.0, 2.0)
    assert single[1] in (3.0, 4.0, 5.0)


def test_a_copy_gives_a_speaker_one_session(recipe, clips):
    embedder = Embedder(recipe, FeatureCache())
    first, second, other = (embedder._session(clips[i], 1) for i in (0, 1, 3))
    assert clips[0].speaker == clips[1].speaker != clips[3].speaker
    assert first == second != other
    assert embedder._session(clips[0], 2) != first
    assert embedder._session(clips[0], 0) == {}


def test_embeddings_come_from_the_cache_as_they_were_made(recipe, clips, tmp_path):
    cached = Embedder(recipe, FeatureCache(tmp_path))
    for copy in (0, 1):
        embeddings = cached.embeddings(clips[:4], copy)
        torch.testing.assert_close(cached.embeddings(clips[:4], copy), embeddings, atol=0, rtol=0)
        fresh = Embedder(recipe, FeatureCache()).embeddings(clips[:4], copy)
        torch.testing.assert_close(fresh, embeddings, atol=0, rtol=0)
    changed = replace(recipe, augmentation=from_table({"speed": {"p": 1.0, "rate": [1.1, 1.1]}}))
    other = Embedder(changed, FeatureCache(tmp_path)).embeddings(clips[:4], 1)
    assert (other - embeddings).abs().max() > 1e-3


def test_a_run_reports_clips_alone_and_in_sessions(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["clips"] == 6
    assert set(metrics["in_sessions"]) == set(sessions.KINDS)
    assert metrics["in_sessions"]["every_emotion"]["clips"] == 6
    assert "in random order" in (run / "README.md").read_text()


def test_the_same_seed_gives_the_same_heads(run, recipe, split, cache, tmp_path):
    again = fit(recipe, split, tmp_path / "by_hand", "cpu", cache)
    assert again == json.loads((run / "metrics.json").read_text())


def test_the_bundle_keeps_the_published_encoder(run, recipe):
    _, model = bundles.load(run / "bundle")
    published = Embedder(recipe, FeatureCache()).model
    for name, tensor in published.encoder.state_dict().items():
        torch.testing.assert_close(model.encoder.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_every_kind_of_session_holds_one_speaker_and_covers_the_other_clips():
    targets = np.array([LABELS.index(name) for name in ["neutral", "sad", "sad", "happy"] * 5])
    rows = np.arange(20)
    for name, kind in sessions.KINDS.items():
        session_rows = list(kind(rows, targets, np.random.default_rng(0)))
        covered = {row for one in session_rows for row in one.tolist()}
        assert covered >= set(rows[targets != sessions.NEUTRAL].tolist()), name
        if name == "one_emotion":
            assert all(len(set(targets[one])) == 1 for one in session_rows)
        if name == "mostly_neutral":
            assert all((targets[one] != sessions.NEUTRAL).sum() <= sessions.OTHERS for one in session_rows)


def test_clips_that_are_all_there_are_judged_with_the_others_of_their_session(recipe, clips):
    embedder = Embedder(recipe, FeatureCache())
    model = adaptive.fit_heads(recipe, clips, embedder)
    embeddings = embedder.embeddings(clips)
    alone = sessions.by_themselves(model, clips, embeddings)
    predictions = sessions.together(model, alone, embeddings, alone.speakers)
    for row, speaker in enumerate(alone.speakers):
        session = Session()
        for other, session_speaker in enumerate(alone.speakers):
            if session_speaker == speaker and other != row:
                session.keep(model, embeddings[other])
        expected = session.judge(model, embeddings[row]).detach().numpy()
        assert predictions.logits[row] == pytest.approx(expected, abs=1e-3)
    assert predictions.files == alone.files
    everybody = sessions.together(model, alone, embeddings, alone.corpora)
    assert np.abs(everybody.logits - predictions.logits).max() > 1e-3


def test_a_joined_head_is_the_mean_of_its_members_on_the_directions_they_read():
    head = build("whisper_base_adaptive", len(LABELS), hidden=8).eval().alone
    members = [adaptive._member(head, 5, 2).eval() for _ in range(2)]
    directions = torch.randn(SIZE, 5)
    adaptive._join(head, members, directions)
    rows = torch.randn(3, SIZE)
    mean = torch.stack([member(rows @ directions) for member in members]).mean(0)
    torch.testing.assert_close(head(rows), mean, atol=1e-4, rtol=1e-4)


def test_principal_directions_are_those_of_each_branch():
    rows = torch.zeros(1, 4, 5)
    rows[0, :, 1] = torch.tensor([2.0, -2, 2, -2])
    rows[0, :, 3] = torch.tensor([1.0, 1, -1, -1])
    directions = adaptive.principal_directions(rows, [2, 3], 1)
    assert directions.abs() == pytest.approx(torch.eye(5)[:, [1, 3]], abs=1e-6)
    assert adaptive.principal_directions(rows, [2, 3], 0).shape == (5, 5)


def test_what_lies_far_from_the_training_clips_is_not_familiar():
    model = build("whisper_base_adaptive", len(LABELS), hidden=8)
    rows = torch.randn(400, SIZE, generator=torch.Generator().manual_seed(0))
    adaptive.fit_limit(model, rows)
    assert model.distances(rows).mean() == pytest.approx(1, abs=0.1)
    assert model.familiar(rows).float().mean() == pytest.approx(adaptive.FAMILIAR_SHARE, abs=0.01)
    assert not model.familiar(5 * rows).any()

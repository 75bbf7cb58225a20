"""Augmentation in training: training part only, labels of copies, replay."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import syllables, write_wav
from torch.utils.data import DataLoader

from ser_core.emotions import LABELS
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor
from train.augment import TECHNIQUES, Augmentation, chain, copies_of, mixup
from train.augment.awgn import Awgn
from train.augment.mixup import Mixup
from train.augment.spec_augment import SpecAugment, tensor_of
from train.corpora import Clip, classes_of
from train.corpora.splits import Split
from train.data.cache import FeatureCache
from train.data.dataset import LengthBatches, SpeechDataset
from train.data.speech import FULL_SCALE
from train.fitting.fit import fit
from train.fitting.loss import masked_cross_entropy
from train.fitting.module import EmotionModule
from train.fitting.training import loaders
from train.recipe import Recipe

SPEC = FeatureSpec(normalization="whisper")
ALL = Augmentation(**{name: technique(p=0.7) for name, technique in TECHNIQUES.items()})
COPIES = replace(ALL, multi_fold=True, balance=True)
EMOTIONS = ("sad", "sad", "sad", "angry", "angry", "happy")
RECIPE = Recipe(name="all", architecture="parallel_cnn_transformer", corpora=("one", "two"), batch_size=4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """Twelve voices in two corpora, the first without anger."""
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for corpus, emotions in (("one", EMOTIONS[:3] + EMOTIONS[5:] * 3), ("two", EMOTIONS)):
        for i, emotion in enumerate(emotions):
            path = write_wav(folder / f"{corpus}{i}.wav", syllables(1, seed=len(clips)))
            clips.append(Clip(corpus, path, f"{corpus}/{i}", "", emotion, "", folder))
    return clips


@pytest.fixture(scope="module")
def dataset(clips):
    def make(augmentation: Augmentation, seed: int = 0, spec: FeatureSpec = SPEC) -> SpeechDataset:
        copies = copies_of(clips, {}, augmentation, seed)
        classes, cache = classes_of(clips), FeatureCache()
        return SpeechDataset(clips, spec, LABELS, classes, cache, augmentation, copies, seed)

    return make


def rows_of(data: SpeechDataset, indices: list[int]) -> list[torch.Tensor]:
    batch = data.collate(indices)
    return [row[:, :length] for row, length in zip(batch.features, batch.lengths.tolist(), strict=True)]


def test_validation_batches_are_those_of_a_recipe_without_augmentation(clips):
    split = Split("made", tuple(clips[:8]), tuple(clips[8:10]), tuple(clips[10:]))
    plain = loaders(RECIPE, split, SPEC, FeatureCache())
    changed = loaders(replace(RECIPE, augmentation=COPIES), split, SPEC, FeatureCache())
    for before, after in zip(plain[1], changed[1], strict=True):
        assert all(torch.equal(vars(before)[name], vars(after)[name]) for name in vars(before))
    assert len(changed[0].dataset) > len(plain[0].dataset) == 8
    assert {clip.path for clip in changed[0].dataset.clips} == {clip.path for clip in split.train}


def test_each_copy_carries_its_parents_label_and_is_made_from_its_parents_sound(dataset, clips):
    data = dataset(COPIES)
    assert len(data) > 10 * len(clips)
    batch = data.collate(list(range(len(data))))
    extract = FeatureExtractor(SPEC)
    for row, copy in enumerate(data.copies):
        parent = clips[copy.clip]
        assert LABELS[batch.targets[row]] == parent.emotion
        assert batch.allowed[row, LABELS.index("angry")] == (parent.corpus == "two")
    for row in range(0, len(data), 7):
        (speech,) = FeatureCache().speech([clips[data.copies[row].clip]])
        samples = torch.from_numpy(chain.apply(COPIES, speech / FULL_SCALE, data.draw(row)))
        features, _ = extract(samples[None], torch.tensor([len(samples)]))
        torch.testing.assert_close(
            batch.features[row, :, : batch.lengths[row]], features[0], atol=5e-3, rtol=0
        )


def test_classes_are_balanced_in_an_epoch(dataset):
    data = dataset(replace(ALL, balance=True))
    drawn = [i for batch in LengthBatches(data, 4, shuffle=True) for i in batch]
    counts = np.bincount(data.targets[drawn].numpy())
    assert set(counts[counts > 0]) == {6}  # as many as are sad


def test_a_row_is_the_same_whatever_is_beside_it(dataset):
    data = dataset(ALL)
    beside = data.collate([1, 5, 9])
    alone = data.collate([5])
    assert torch.equal(beside.features[1, :, : beside.lengths[1]], alone.features[0])
    assert torch.equal(beside.masks[1], alone.masks[0])


def test_networks_that_take_samples_get_the_changed_samples(dataset, clips):
    spec = FeatureSpec(kind="waveform")
    data = dataset(Augmentation(awgn=Awgn(p=1.0), spec_augment=SpecAugment(p=1.0)), spec=spec)
    batch = data.collate([0, 1])
    (speech,) = FeatureCache().speech(clips[:1])
    noisy = chain.apply(data.augmentation, speech / FULL_SCALE, data.draw(0))
    alike = np.corrcoef(batch.features[0, 0, : batch.lengths[0]], noisy)[0, 1]
    assert alike == pytest.approx(1, abs=1e-4)


def test_workers_make_the_same_batches(dataset):
    data = dataset(ALL)
    order = [[0, 1, 2], [3, 4, 5]]
    here, there = (
        list(DataLoader(data, batch_sampler=order, collate_fn=data.collate, num_workers=workers))
        for workers in (0, 2)
    )
    for mine, theirs in zip(here, there, strict=True):
        assert torch.equal(mine.features, theirs.features)
        assert torch.equal(mine.masks, theirs.masks)


def test_an_epoch_can_be_replayed_and_the_next_one_differs(dataset):
    first, again, other = dataset(ALL), dataset(ALL), dataset(ALL, seed=1)
    indices = list(range(len(first)))
    before = first.collate(indices)
    assert torch.equal(before.features, again.collate(indices).features)
    again.epoch = 1
    for changed in (again, other):
        assert all(changed.draw(i) != first.draw(i) for i in indices)


def test_only_the_clips_that_are_changed_bypass_the_kept_features(dataset):
    data = dataset(Augmentation(awgn=Awgn(p=0.5), spec_augment=SpecAugment(p=1.0)))
    noisy = ["awgn" in data.draw(i) for i in range(len(data))]
    assert 0 < sum(noisy) < len(data)
    for row, features, changed in zip(
        rows_of(data, list(range(len(data)))), data.features, noisy, strict=True
    ):
        assert np.array_equal(row.numpy(), features) is not changed


def test_masks_in_a_batch_are_those_that_were_drawn(dataset):
    data = dataset(Augmentation(spec_augment=SpecAugment(p=0.5)))
    batch = data.collate(list(range(len(data))))
    for row, masks in enumerate(batch.masks):
        assert torch.equal(masks, tensor_of(data.draw(row).get("spec_augment")))
    assert 0 < sum(bool(masks.any()) for masks in batch.masks) < len(data)


def test_mixup_mixes_inputs_and_losses_each_among_the_classes_of_its_corpus(dataset):
    recipe = replace(RECIPE, augmentation=Augmentation(mixup=Mixup(alpha=1.0)))
    module = EmotionModule(recipe, len(LABELS)).eval()
    batch = dataset(Augmentation(), spec=module.spec).collate([0, 3, 9, 11])
    drawn = Mixup(alpha=1.0).draw(np.random.default_rng((recipe.seed, 0, 5)), 4)
    logits = module(mixup.apply(batch.features, batch.lengths, drawn), batch.lengths)
    partners, share = drawn["partners"], drawn["share"]
    own = masked_cross_entropy(logits, batch.targets, batch.allowed, 0.0)
    other = masked_cross_entropy(logits, batch.targets[partners], batch.allowed[partners], 0.0)
    assert partners != [0, 1, 2, 3]
    torch.testing.assert_close(module.training_step(batch, 5), share * own + (1 - share) * other)


def test_spec_augment_hides_what_was_drawn_in_the_training_step(dataset):
    recipe = replace(RECIPE, augmentation=Augmentation(spec_augment=SpecAugment(p=1.0)))
    module = EmotionModule(recipe, len(LABELS)).eval()
    batch = dataset(recipe.augmentation, spec=module.spec).collate([0, 1])
    unmasked = replace(batch, masks=torch.zeros_like(batch.masks))
    assert module.training_step(batch, 0) != module.training_step(unmasked, 0)


def test_a_run_with_everything_on_ends_and_says_what_was_on(clips, tmp_path):
    split = Split("made", tuple(clips[:4]), tuple(clips[6:8]), tuple(clips[8:10]))
    recipe = replace(RECIPE, epochs=1, augmentation=COPIES)
    metrics = fit(recipe, split, tmp_path / "run", "cpu")
    assert metrics["clips"] == 2
    written = json.loads((tmp_path / "run" / "recipe.json").read_text())["augmentation"]
    assert written["multi_fold"] is True
    assert set(TECHNIQUES) <= set(written)

"""Batches: order, crops, and new draws in each epoch."""

import lightning as L
import numpy as np
import pytest
import torch
from support import syllables, write_wav
from torch.utils.data import DataLoader

from ser_core.emotions import LABELS
from ser_core.models.feature_spec import FeatureSpec
from train.augment import Augmentation
from train.corpora import Clip
from train.data.cache import FeatureCache
from train.data.dataset import LengthBatches, SpeechDataset
from train.errors import RunError

WHISPER = FeatureSpec(normalization="whisper")
UTTERANCE = FeatureSpec(normalization="utterance")
SHORTEST = 100  # frames: a second


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """Twelve clips of two to four syllables."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        Clip("made", write_wav(folder / f"{i}.wav", syllables(2 + i % 3, seed=i)), f"made/{i}", "", "sad", "")
        for i in range(12)
    ]


@pytest.fixture(scope="module")
def dataset(clips):
    def make(spec: FeatureSpec = WHISPER, crop: float = 0.0) -> SpeechDataset:
        return SpeechDataset(
            clips, spec, LABELS, {"made": ("sad", "angry")}, FeatureCache(), Augmentation(crop=crop)
        )

    return make


def test_batches_hold_similar_lengths_and_follow_the_share(dataset):
    batches = LengthBatches(dataset(), 2, shuffle=True, share={"made": 0.5})
    first, again = list(batches), list(batches)
    assert first == again
    assert len(first) == len(batches) == 3
    assert len({i for batch in first for i in batch}) == 6
    batches.set_epoch(1)
    assert list(batches) != first


class LengthRecorder(L.LightningModule):
    """Learns nothing and remembers the lengths of its batches, epoch by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[list[list[int]]] = []
        self.automatic_optimization = False

    def on_train_epoch_start(self) -> None:
        self.lengths.append([])

    def training_step(self, batch, index: int) -> None:
        self.lengths[-1].append(batch.lengths.tolist())

    def transfer_batch_to_device(self, batch, device, dataloader_idx: int):
        return batch

    def configure_optimizers(self) -> None:
        return None


def test_each_epoch_of_lightning_draws_anew(dataset, tmp_path):
    data = dataset(crop=1.0)
    loader = DataLoader(data, batch_sampler=LengthBatches(data, 4, shuffle=True), collate_fn=data.collate)
    recorder = LengthRecorder()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    L.Trainer(default_root_dir=tmp_path, accelerator="cpu", max_epochs=3, **quiet).fit(recorder, loader)
    first, second, third = recorder.lengths
    assert first != second != third != first
    assert data.epoch == 2


def test_a_batch_is_padded_with_silence_and_masks_what_the_corpus_lacks(dataset):
    data = dataset()
    batch = data.collate([0, 1, 2])
    assert batch.features.dtype == torch.float32
    assert batch.features.shape == (3, 80, int(batch.lengths.max()))
    for row, length, index in zip(batch.features, batch.lengths.tolist(), range(3), strict=True):
        np.testing.assert_array_equal(row[:, :length].numpy(), data.features[index])
        assert not row[:, length:].any()
    assert batch.allowed[0].tolist() == [label in ("sad", "angry") for label in LABELS]
    assert batch.targets.tolist() == [LABELS.index("sad")] * 3


def test_a_crop_is_a_stretch_of_its_clip_of_at_least_half_and_a_second(dataset):
    whole, cropped = dataset(), dataset(crop=1.0)
    sizes = []
    for epoch in range(20):
        cropped.epoch = epoch
        batch = cropped.collate([0])
        size = int(batch.lengths[0])
        clip = whole.features[0]
        assert max(SHORTEST, clip.shape[-1] // 2) <= size <= clip.shape[-1]
        starts = range(clip.shape[-1] - size + 1)
        assert any(np.array_equal(clip[:, s : s + size], batch.features[0].numpy()) for s in starts)
        sizes.append(size)
    assert len(set(sizes)) > 5


def test_what_is_normalised_over_an_utterance_is_normalised_over_its_crop(dataset):
    cropped = dataset(UTTERANCE, crop=1.0)
    batch = cropped.collate([0])
    assert int(batch.lengths[0]) < cropped.features[0].shape[-1]
    torch.testing.assert_close(batch.features.mean(-1), torch.zeros(1, 80), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.features.std(-1, correction=0), torch.ones(1, 80), atol=1e-2, rtol=0)


def test_crops_depend_on_the_epoch_and_can_be_replayed(dataset):
    first, again = dataset(crop=1.0), dataset(crop=1.0)
    torch.testing.assert_close(first.collate([0, 1]).features, again.collate([0, 1]).features)
    again.epoch = 1
    assert first.collate([0, 1]).lengths.tolist() != again.collate([0, 1]).lengths.tolist()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("batch_size", "count"), [(1, 2), (1, 5), (2, 3), (3, 2), (4, 4), (5, 12), (100, 2)])
def test_processes_share_out_every_clip_once_in_as_many_steps(dataset, batch_size, count, shuffle):
    batches = LengthBatches(dataset(), batch_size, shuffle=shuffle).batches_for(count)
    assert sorted(i for batch in batches for i in batch) == list(range(12))
    sizes = [len(batch[rank::count]) for batch in batches for rank in range(count)]
    assert min(sizes) >= 1
    assert max(sizes) <= batch_size + 1


def test_more_processes_than_clips_are_refused(dataset):
    with pytest.raises(RunError, match="12 clips cannot be shared out to 13 processes: use fewer --devices"):
        LengthBatches(dataset(), 4).batches_for(13)

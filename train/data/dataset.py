"""Dataset of clips' features in memory, with augmentation, and batches of clips of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor, standardise
from train.augment import WAVEFORM_TECHNIQUES, Augmentation, Copy, chain
from train.augment.spec_augment import tensor_of
from train.augment.technique import Draw
from train.corpora import Clip
from train.data.cache import FeatureCache
from train.data.speech import FULL_SCALE
from train.errors import RunError
from train.processes import rank_and_count

MIN_CROP_S = 1.0
BUCKET_BATCHES = 8  # clips are sorted by length within this many batches


@dataclass(frozen=True)
class Batch:
    """Features and targets of a batch of utterances."""

    features: Tensor  # (batch, band, frame) float32, zero in the padding
    lengths: Tensor  # (batch,) in frames
    targets: Tensor  # (batch,) class index
    allowed: Tensor  # (batch, class) bool: the classes that the clip's corpus has
    masks: Tensor  # (batch, 2, mask, 2): the masks of `spec_augment`


class SpeechDataset(Dataset[int]):
    """Rows of clips and of copies of clips. Items are row indices; `collate` returns the batch.

    Unaugmented features are kept in memory as float16. Features of rows that a waveform technique changes are
    computed for each epoch and not stored.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        spec: FeatureSpec,
        labels: Sequence[str],
        classes: dict[str, tuple[str, ...]],
        cache: FeatureCache,
        augmentation: Augmentation = Augmentation(),
        copies: Sequence[Copy] = (),
        seed: int = 0,
    ) -> None:
        """`classes`: the emotions of each corpus. `copies`: the rows (see `copies_of`); default the clips."""
        self.copies = copies or [Copy(i) for i in range(len(clips))]
        self.clips = [clips[copy.clip] for copy in self.copies]  # the clip of each row
        self.spec = spec
        features = cache.features(clips, spec)
        self.features = [features[copy.clip] for copy in self.copies]
        uses_waveforms = WAVEFORM_TECHNIQUES.keys() & augmentation.of_clips.keys()
        self.speech = cache.speech(clips) if uses_waveforms else []
        self.extract = FeatureExtractor(spec)
        self.targets = torch.tensor([labels.index(clip.emotion) for clip in self.clips])
        allowed = {corpus: [label in names for label in labels] for corpus, names in classes.items()}
        self.allowed = torch.tensor([allowed[clip.corpus] for clip in self.clips])
        self.augmentation = augmentation
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, indices: list[int]) -> Batch:
        """The batch of the rows `indices`; crops depend on seed, epoch and `indices` alone."""
        rng = np.random.default_rng([self.seed, self.epoch, *indices])
        draws = [self.draw(i) for i in indices]
        rows = [self._crop(self._augmented(i, draw), rng) for i, draw in zip(indices, draws, strict=True)]
        lengths = torch.tensor([row.shape[-1] for row in rows])
        features = torch.zeros(len(rows), self.spec.bands, int(lengths.max()))
        for target, row in zip(features, rows, strict=True):
            target[:, : row.shape[-1]] = row
        masks = torch.stack([tensor_of(drawn.get("spec_augment")) for drawn in draws])
        return Batch(features, lengths, self.targets[indices], self.allowed[indices], masks)

    def draw(self, index: int) -> dict[str, Draw]:
        """The row's augmentation in this epoch, independent of its batch; see `train.augment.chain`."""
        copy = self.copies[index]
        rng = chain.generator_of(self.seed, self.epoch, self.clips[index].file, copy)
        return chain.draw(self.augmentation, copy, rng)

    def _augmented(self, index: int, draws: Mapping[str, Draw]) -> Tensor:
        """The row's features `(band, frame)` after the waveform techniques in `draws`."""
        if not WAVEFORM_TECHNIQUES.keys() & draws.keys():
            return torch.from_numpy(self.features[index])
        samples = self.speech[self.copies[index].clip] / FULL_SCALE
        waveform = torch.from_numpy(chain.apply(self.augmentation, samples, draws))
        features, _ = self.extract(waveform[None], torch.tensor([len(waveform)]))
        row: Tensor = features[0]
        return row

    def _crop(self, features: Tensor, rng: np.random.Generator) -> Tensor:
        """A random crop of `features` `(band, frame)`, or all of them.

        Whisper-normalised crops keep the level and floor of the whole clip. Other features, which are
        normalised over an utterance, are normalised again over the crop.
        """
        frames = features.shape[-1]
        min_frames = max(frames // 2, int(MIN_CROP_S * self.spec.sample_rate) // self.spec.hop_length)
        if min_frames >= frames or rng.random() >= self.augmentation.crop:
            return features
        size = int(rng.integers(min_frames, frames + 1))
        start = int(rng.integers(0, frames - size + 1))
        cropped = features[:, start : start + size]
        if self.spec.normalization == "whisper":
            return cropped
        return standardise(cropped.float()[None], torch.ones(1, 1, size))[0]


class LengthBatches(Sampler[list[int]]):
    """Shuffled batches of clips of similar length; the order depends on seed and epoch alone.

    In distributed training each batch is divided among the processes, `batch_size` clips for each, so that
    every clip is used once. Iteration raises RunError where there are fewer clips than processes.
    """

    def __init__(
        self,
        dataset: SpeechDataset,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        share: Mapping[str, float] | None = None,
    ) -> None:
        """`share`: share of a corpus's clips that each epoch draws, above 0 to 1; only with `shuffle`."""
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        corpora = [clip.corpus for clip in dataset.clips]
        rows = {corpus: [i for i, other in enumerate(corpora) if other == corpus] for corpus in corpora}
        self.draws = {
            corpus: (np.array(indices), max(1, round((share or {}).get(corpus, 1.0) * len(indices))))
            for corpus, indices in rows.items()
        }

    def __len__(self) -> int:
        _, count = rank_and_count()
        return len(self.batches_for(count))

    @property
    def sampler(self) -> "LengthBatches":
        """This object: Lightning calls `set_epoch` on the sampler inside a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the dataset, on which crops depend. Lightning calls it before each epoch."""
        self.dataset.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rank, count = rank_and_count()
        for batch in self.batches_for(count):
            yield batch[rank::count]

    def batches_for(self, count: int) -> list[list[int]]:
        """The epoch's batches, each for `count` processes: rank r gets `batch[r::count]`."""
        size = self.batch_size * count
        lengths = np.array([features.shape[-1] for features in self.dataset.features])
        clips = sum(count_drawn for _, count_drawn in self.draws.values())
        if clips < count:
            raise RunError(
                f"{clips} clips cannot be shared out to {count} processes: use fewer --devices or --nodes"
            )
        if not self.shuffle:
            return chunks(np.argsort(lengths, kind="stable"), size, count)
        rng = np.random.default_rng([self.seed, self.dataset.epoch])
        batches: list[list[int]] = []
        drawn = np.concatenate(
            [rng.permutation(indices)[:count_drawn] for indices, count_drawn in self.draws.values()]
        )
        for bucket in chunks(rng.permutation(drawn), size * BUCKET_BATCHES, count):
            batches += chunks(np.array(sorted(bucket, key=lambda i: lengths[i])), size, count)
        return [batches[index] for index in rng.permutation(len(batches))]


def chunks(order: NDArray[np.int64], size: int, least: int = 1) -> list[list[int]]:
    """`order` in pieces of `size`; a last piece of fewer than `least` is added to the one before."""
    pieces: list[list[int]] = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    if len(pieces) > 1 and len(pieces[-1]) < least:
        last = pieces.pop()
        pieces[-1] += last
    return pieces

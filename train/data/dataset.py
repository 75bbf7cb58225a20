"""Clips' features in memory, in batches of similar length; what augmentation changes is made anew."""

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
from train.processes import place

MIN_CROP_S = 1.0
BUCKET_BATCHES = 8  # clips are sorted by length within this many batches


@dataclass(frozen=True)
class Batch:
    """Utterances with their targets. `allowed` marks the classes that the row's corpus has."""

    features: Tensor  # (batch, band, frame) float32, zero in the padding
    lengths: Tensor  # (batch,) in frames
    targets: Tensor  # (batch,) class index
    allowed: Tensor  # (batch, class) bool
    masks: Tensor  # (batch, 2, mask, 2): what `spec_augment` hides


class SpeechDataset(Dataset[int]):
    """Rows: clips, and copies of them. Items are indices of rows, `collate` makes the batch.

    Features as they are in the recordings are held as float16. The rows that a waveform technique changes in
    an epoch are transformed anew, and kept nowhere.
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
        self.clips = [clips[copy.clip] for copy in self.copies]  # the parent of each row
        self.spec = spec
        kept = cache.features(clips, spec)
        self.features = [kept[copy.clip] for copy in self.copies]
        changed = WAVEFORM_TECHNIQUES.keys() & augmentation.of_clips.keys()
        self.speech = cache.speech(clips) if changed else []
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
        """The batch of the rows `indices`; crops depend on seed, epoch and rows alone."""
        rng = np.random.default_rng([self.seed, self.epoch, *indices])
        draws = [self.draw(i) for i in indices]
        rows = [self._crop(self._changed(i, d), rng) for i, d in zip(indices, draws, strict=True)]
        lengths = torch.tensor([row.shape[-1] for row in rows])
        features = torch.zeros(len(rows), self.spec.bands, int(lengths.max()))
        for target, row in zip(features, rows, strict=True):
            target[:, : row.shape[-1]] = row
        masks = torch.stack([tensor_of(drawn.get("spec_augment")) for drawn in draws])
        return Batch(features, lengths, self.targets[indices], self.allowed[indices], masks)

    def draw(self, index: int) -> dict[str, Draw]:
        """What the row gets in this epoch, whatever else is in its batch; see `train.augment.chain`."""
        copy = self.copies[index]
        rng = chain.generator_of(self.seed, self.epoch, self.clips[index].file, copy)
        return chain.draw(self.augmentation, copy, rng)

    def _changed(self, index: int, draws: Mapping[str, Draw]) -> Tensor:
        """The row's features `(band, frame)` after the waveform techniques in `draws`."""
        if not WAVEFORM_TECHNIQUES.keys() & draws.keys():
            return torch.from_numpy(self.features[index])
        samples = self.speech[self.copies[index].clip] / FULL_SCALE
        changed = torch.from_numpy(chain.apply(self.augmentation, samples, draws))
        features, _ = self.extract(changed[None], torch.tensor([len(changed)]))
        found: Tensor = features[0]
        return found

    def _crop(self, features: Tensor, rng: np.random.Generator) -> Tensor:
        """A random stretch of `features` `(band, frame)`, or all of them.

        A stretch keeps the level and the floor of its whole clip; where coefficients are normalised over an
        utterance, they are normalised again over the stretch.
        """
        frames = features.shape[-1]
        shortest = max(frames // 2, int(MIN_CROP_S * self.spec.sample_rate) // self.spec.hop_length)
        if shortest >= frames or rng.random() >= self.augmentation.crop:
            return features
        size = int(rng.integers(shortest, frames + 1))
        start = int(rng.integers(0, frames - size + 1))
        stretch = features[:, start : start + size]
        if self.spec.normalization == "whisper":
            return stretch
        return standardise(stretch.float()[None], torch.ones(1, 1, size))[0]


class LengthBatches(Sampler[list[int]]):
    """Shuffled batches of clips of similar length; the order depends on seed and epoch alone.

    Processes that train together share each batch out, of `batch_size` clips for each of them: every clip is
    in one of them, once. Raises RunError, when asked for batches, where there are fewer clips than processes.
    """

    def __init__(
        self,
        dataset: SpeechDataset,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        share: Mapping[str, float] | None = None,
    ) -> None:
        """`share`: of a corpus that each epoch draws anew, above 0 to 1; only when shuffling."""
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        corpora = [clip.corpus for clip in dataset.clips]
        rows = {corpus: [i for i, other in enumerate(corpora) if other == corpus] for corpus in corpora}
        self.draws = {
            corpus: (np.array(own), max(1, round((share or {}).get(corpus, 1.0) * len(own))))
            for corpus, own in rows.items()
        }

    def __len__(self) -> int:
        _, count = place()
        return len(self.shared(count))

    @property
    def sampler(self) -> "LengthBatches":
        """Itself: Lightning tells the epoch to the sampler inside a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch; the dataset's crops follow."""
        self.dataset.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rank, count = place()
        for batch in self.shared(count):
            yield batch[rank::count]

    def shared(self, count: int) -> list[list[int]]:
        """The epoch's batches, each for `count` processes: the one of rank r takes `batch[r::count]`."""
        size = self.batch_size * count
        lengths = np.array([features.shape[-1] for features in self.dataset.features])
        clips = sum(number for _, number in self.draws.values())
        if clips < count:
            raise RunError(
                f"{clips} clips cannot be shared out to {count} processes: use fewer --devices or --nodes"
            )
        if not self.shuffle:
            return chunks(np.argsort(lengths, kind="stable"), size, count)
        rng = np.random.default_rng([self.seed, self.dataset.epoch])
        batches: list[list[int]] = []
        drawn = np.concatenate([rng.permutation(own)[:number] for own, number in self.draws.values()])
        for bucket in chunks(rng.permutation(drawn), size * BUCKET_BATCHES, count):
            batches += chunks(np.array(sorted(bucket, key=lambda i: lengths[i])), size, count)
        return [batches[index] for index in rng.permutation(len(batches))]


def chunks(order: NDArray[np.int64], size: int, least: int = 1) -> list[list[int]]:
    """`order` in pieces of `size`; a last one of fewer than `least` joins the one before."""
    pieces: list[list[int]] = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    if len(pieces) > 1 and len(pieces[-1]) < least:
        last = pieces.pop()
        pieces[-1] += last
    return pieces

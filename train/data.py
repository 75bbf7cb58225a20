"""Clips in memory, cut to their speech as the recogniser cuts them, in batches of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ser_core.audio import SAMPLE_RATE, AudioError, decode
from ser_core.features import pad
from ser_core.vad import segment
from train.corpora import Clip, CorpusError

MAX_CLIP_S = 10.0  # the recogniser's longest segment
MIN_CROP_S = 1.0
BUCKET_BATCHES = 8  # clips are sorted by length within this many batches


@dataclass(frozen=True)
class Batch:
    """Utterances with their targets. `allowed` marks the classes that the row's corpus has."""

    samples: Tensor  # (batch, n_samples) float32
    lengths: Tensor  # (batch,) in samples
    targets: Tensor  # (batch,) class index
    allowed: Tensor  # (batch, class) bool


@cache
def speech_of(clip: Clip) -> NDArray[np.int16]:
    """The clip from its first to its last speech, at most MAX_CLIP_S, `(n_samples,)` at 16 kHz.

    A clip without recognised speech is kept whole: its label says that there is some. Kept in memory
    (32 kB a second), as the folds of one corpus share their clips.
    Raises CorpusError for a file that cannot be read.
    """
    try:
        waveform = decode(clip.path)
    except AudioError as error:
        raise CorpusError(f"{clip.path}: {error.code}: {error.message}") from None
    spans = segment(waveform)
    samples = waveform.samples[spans[0].start : spans[-1].end] if spans else waveform.samples
    samples = samples[: int(MAX_CLIP_S * SAMPLE_RATE)]
    peak = float(np.abs(samples).max(initial=1e-6))
    return np.round(samples / peak * 32767).astype(np.int16)  # full scale: quiet clips keep their resolution


class SpeechDataset(Dataset[int]):
    """Clips decoded once and held as int16; items are indices, `collate` makes the batch."""

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        classes: dict[str, tuple[str, ...]],
        crop: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`classes`: the emotions of each corpus. `crop`: probability of a random stretch of a clip."""
        self.clips = clips
        with ThreadPoolExecutor() as pool:
            self.speech = list(pool.map(speech_of, clips))
        self.targets = torch.tensor([labels.index(clip.emotion) for clip in clips])
        allowed = {corpus: [label in names for label in labels] for corpus, names in classes.items()}
        self.allowed = torch.tensor([allowed[clip.corpus] for clip in clips])
        self.crop = crop
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, indices: list[int]) -> Batch:
        """The batch of the clips `indices`; crops depend on seed, epoch and clips alone."""
        rng = np.random.default_rng([self.seed, self.epoch, *indices])
        rows = [torch.from_numpy(self._crop(self.speech[i], rng) / np.float32(32767)) for i in indices]
        samples, lengths = pad(rows)
        return Batch(samples, lengths, self.targets[indices], self.allowed[indices])

    def _crop(self, samples: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
        shortest = max(len(samples) // 2, int(MIN_CROP_S * SAMPLE_RATE))
        if shortest >= len(samples) or rng.random() >= self.crop:
            return samples
        size = int(rng.integers(shortest, len(samples) + 1))
        start = int(rng.integers(0, len(samples) - size + 1))
        return samples[start : start + size]


class LengthBatches(Sampler[list[int]]):
    """Shuffled batches of clips of similar length; the order depends on seed and epoch alone."""

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
        return -(-sum(count for _, count in self.draws.values()) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch; the dataset's crops follow."""
        self.dataset.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        lengths = np.array([len(speech) for speech in self.dataset.speech])
        if not self.shuffle:
            order = np.argsort(lengths, kind="stable")
            yield from _chunks(order, self.batch_size)
            return
        rng = np.random.default_rng([self.seed, self.dataset.epoch])
        batches: list[list[int]] = []
        drawn = np.concatenate([rng.permutation(own)[:count] for own, count in self.draws.values()])
        for bucket in _chunks(rng.permutation(drawn), self.batch_size * BUCKET_BATCHES):
            batches += _chunks(np.array(sorted(bucket, key=lambda i: lengths[i])), self.batch_size)
        for index in rng.permutation(len(batches)):
            yield batches[index]


def _chunks(order: NDArray[np.int64], size: int) -> list[list[int]]:
    return [order[start : start + size].tolist() for start in range(0, len(order), size)]

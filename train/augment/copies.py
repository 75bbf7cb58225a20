"""Additional training rows: a copy of each clip for each technique, and copies that balance classes.

A copy is a row of the training part with the label of its clip. Its augmentation is drawn again in each
epoch.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from train.augment.augmentation import Augmentation
from train.corpora import Clip


@dataclass(frozen=True)
class Copy:
    """A row of the training part."""

    clip: int  # index of the clip
    number: int = 0  # 0: the clip itself; copies count from 1
    technique: str = ""  # the one technique of a multi-fold copy


def copies_of(
    clips: Sequence[Clip], share: Mapping[str, float], augmentation: Augmentation, seed: int
) -> list[Copy]:
    """A row for each of `clips`, in order, followed by the copies that `augmentation` adds.

    `share`: the share of a corpus's clips that an epoch draws, 1 for corpora without an entry. Balancing
    counts expected rows by it.
    """
    rows = [Copy(i) for i in range(len(clips))]
    if augmentation.multi_fold:
        names = enumerate(augmentation.of_clips, start=1)
        rows += [Copy(i, number, name) for number, name in names for i in range(len(clips))]
    if augmentation.balance:
        folds = len(rows) // len(clips)
        labels = [clip.emotion for clip in clips]
        shares = [share.get(clip.corpus, 1.0) for clip in clips]
        rows += _balancing(labels, shares, folds, np.random.default_rng([seed]))
    return rows


def _balancing(
    labels: Sequence[str], shares: Sequence[float], folds: int, rng: np.random.Generator
) -> list[Copy]:
    """Copies that raise every class to the expected number of rows per epoch of the largest class.

    Clips are copied in turn in a random order, so that the numbers of copies of two clips of a class differ
    by one at most. `folds`: how many rows each clip has already.
    """
    parents: dict[str, list[int]] = defaultdict(list)
    for clip, label in enumerate(labels):
        parents[label].append(clip)
    sizes = {label: folds * sum(shares[clip] for clip in own) for label, own in parents.items()}
    added = []
    for label, own in parents.items():
        order = rng.permutation(own).tolist()
        missing, turn = max(sizes.values()) - sizes[label], 0
        while missing >= shares[order[turn % len(order)]] / 2:
            clip = order[turn % len(order)]
            added.append(Copy(clip, folds + turn // len(order)))
            missing -= shares[clip]
            turn += 1
    return added

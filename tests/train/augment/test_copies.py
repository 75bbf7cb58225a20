"""An epoch holds the clips, one copy for each technique, and copies of rare classes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from train.augment import Augmentation, Copy, copies_of
from train.augment.awgn import Awgn
from train.augment.rir import Rir
from train.augment.spec_augment import SpecAugment
from train.corpora import Clip

LABELS = ["sad"] * 10 + ["happy"] * 4 + ["angry"] * 7
CLIPS = [Clip("whole", Path(f"{i}.wav"), "", "", label, "") for i, label in enumerate(LABELS)]
BALANCED = Augmentation(balance=True, awgn=Awgn())
FOLDS = Augmentation(multi_fold=True, rir=Rir(), awgn=Awgn(p=0.0), spec_augment=SpecAugment())


def counts(rows) -> Counter:
    return Counter(LABELS[row.clip] for row in rows)


def test_nothing_asked_for_leaves_the_clips_in_their_order():
    assert copies_of(CLIPS, {}, Augmentation(awgn=Awgn()), 0) == [Copy(i) for i in range(len(LABELS))]


def test_balance_brings_every_class_to_the_largest():
    rows = copies_of(CLIPS, {}, BALANCED, 0)
    assert rows[: len(LABELS)] == [Copy(i) for i in range(len(LABELS))]
    assert counts(rows) == {"sad": 10, "happy": 10, "angry": 10}


def test_parents_take_turns_and_no_copy_is_there_twice():
    rows = copies_of(CLIPS, {}, BALANCED, 0)
    each = Counter(row.clip for row in rows if LABELS[row.clip] == "happy")
    assert sorted(each.values()) == [2, 2, 3, 3]
    assert len(set(rows)) == len(rows)


def test_parents_follow_the_seed():
    assert copies_of(CLIPS, {}, BALANCED, 1) == copies_of(CLIPS, {}, BALANCED, 1)
    assert copies_of(CLIPS, {}, BALANCED, 1) != copies_of(CLIPS, {}, BALANCED, 2)


def test_balance_counts_what_an_epoch_draws_of_a_corpus():
    clips = [replace(clip, corpus="halved") if clip.emotion == "sad" else clip for clip in CLIPS]
    rows = copies_of(clips, {"halved": 0.5}, BALANCED, 0)
    expected = Counter()
    for row in rows:
        expected[LABELS[row.clip]] += 0.5 if clips[row.clip].corpus == "halved" else 1
    assert expected == {"sad": 7, "happy": 7, "angry": 7}


def test_multi_fold_holds_each_clip_as_it_is_and_once_for_each_technique():
    rows = copies_of(CLIPS, {}, FOLDS, 0)
    assert len(rows) == 4 * len(LABELS)
    for technique in ("", "rir", "awgn", "spec_augment"):
        assert [row.clip for row in rows if row.technique == technique] == list(range(len(LABELS)))


def test_multi_fold_and_balance_go_together():
    both = Augmentation(multi_fold=True, balance=True, rir=Rir(), awgn=Awgn())
    rows = copies_of(CLIPS, {}, both, 0)
    assert counts(rows) == {"sad": 30, "happy": 30, "angry": 30}
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("mode", ["multi_fold", "balance"])
def test_copies_need_something_that_changes_them(mode):
    with pytest.raises(ValueError, match=f"{mode} needs a technique that changes its copies"):
        Augmentation(**{mode: True})

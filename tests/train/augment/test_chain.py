"""The augmentation of a row depends on seed, epoch, clip and copy, and can be replayed."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support import syllables

from train.augment import TECHNIQUES, Augmentation, Copy, chain
from train.augment.awgn import Awgn
from train.augment.rir import Rir

VOICE = syllables(1)
FILE = "corpus/actor_01/a.wav"
ALL = Augmentation(**{name: technique(p=0.5) for name, technique in TECHNIQUES.items()})
FOLDS = replace(ALL, multi_fold=True)


def draws(augmentation=ALL, seed=0, epoch=0, file=FILE, copy=Copy(0)):  # noqa: B008 (frozen)
    rng = chain.generator_of(seed, epoch, file, copy)
    return chain.draw(augmentation, copy, rng)


def test_draws_follow_from_seed_epoch_clip_and_copy():
    assert draws() == draws()
    other = [draws(seed=1), draws(epoch=1), draws(file="corpus/actor_01/b.wav"), draws(copy=Copy(0, 1))]
    assert all(draw != draws() for draw in other)


def test_the_place_among_the_other_clips_does_not_matter():
    assert draws(copy=Copy(7)) == draws()


def test_logged_draws_give_the_same_samples():
    for epoch in range(5):
        drawn = draws(epoch=epoch)
        again = json.loads(json.dumps(drawn))
        assert np.array_equal(chain.apply(ALL, VOICE, drawn), chain.apply(ALL, VOICE, again))


def test_p_is_the_share_of_clips_that_get_it():
    often = replace(ALL, awgn=Awgn(p=0.9), rir=Rir(p=0.0))
    counts = Counter(name for epoch in range(300) for name in draws(often, epoch=epoch))
    assert counts["awgn"] > 250
    assert counts["rir"] == 0
    assert 110 < counts["codec"] < 190


def test_techniques_apply_in_the_order_of_a_recording():
    drawn = draws(Augmentation(awgn=Awgn(p=1.0), rir=Rir(p=1.0)))
    assert list(drawn) == ["rir", "awgn"]
    by_hand = Awgn().apply(Rir().apply(VOICE, drawn["rir"]), drawn["awgn"])
    assert np.array_equal(chain.apply(ALL, VOICE, drawn), by_hand)


def test_a_multi_fold_copy_gets_its_technique_alone_and_the_clip_none():
    assert all(draws(FOLDS, epoch=epoch) == {} for epoch in range(10))
    for number, name in enumerate(FOLDS.of_clips, start=1):
        assert list(draws(FOLDS, copy=Copy(0, number, name))) == [name]


@pytest.mark.parametrize("augmentation", [Augmentation(awgn=Awgn(p=0.0), rir=Rir(p=0.01)), FOLDS])
def test_a_copy_for_balance_is_never_left_as_it_is(augmentation):
    assert all(draws(augmentation, epoch=epoch, copy=Copy(0, 1)) for epoch in range(50))


def test_no_draw_leaves_the_clip_as_it_is():
    assert chain.apply(ALL, VOICE, {}) is VOICE

"""SpecAugment masks have at most the set width, and differ by row."""

import json

import numpy as np
import pytest
import torch

from train.augment.spec_augment import MASKS, SpecAugment, apply, tensor_of

FEATURES = torch.rand(8, 80, 200, generator=torch.Generator().manual_seed(0)) + 1
LENGTHS = torch.tensor([200, 200, 150, 150, 90, 90, 40, 40])
FEATURES *= (torch.arange(200) < LENGTHS[:, None])[:, None]


def masks(technique: SpecAugment, seed: int, rows: int = len(FEATURES)):
    rng = np.random.default_rng(seed)
    return torch.stack([tensor_of(technique.draw(rng)) for _ in range(rows)])


@pytest.mark.parametrize("seed", range(5))
def test_masks_hide_no_more_than_asked(seed):
    changed = apply(FEATURES, LENGTHS, masks(SpecAugment(time=0.2, frequency=0.0), seed)) != FEATURES
    frames = changed.all(1).sum(-1)  # a mask may gain a frame where it is rounded
    assert (frames <= 0.2 * LENGTHS + MASKS).all()
    assert frames.max() > 5
    changed = apply(FEATURES, LENGTHS, masks(SpecAugment(time=0.0, frequency=0.15), seed)) != FEATURES
    bands = changed[:, :, :40].all(2).sum(-1)
    assert (bands <= 0.15 * 80 + MASKS).all()
    assert bands.max() > 3


def test_hidden_cells_get_their_rows_mean_and_padding_stays_silent():
    hidden = apply(FEATURES, LENGTHS, masks(SpecAugment(), 0))
    for row, before, length in zip(hidden, FEATURES, LENGTHS.tolist(), strict=True):
        changed = (row != before)[:, :length]
        assert changed.any()
        means = row[:, :length][changed]
        torch.testing.assert_close(means, before[:, :length].mean().expand_as(means))
        assert not row[:, length:].any()


def test_a_row_is_masked_alike_whatever_is_beside_it():
    drawn = masks(SpecAugment(), 0)
    alone = apply(FEATURES[4:5, :, :90], LENGTHS[4:5], drawn[4:5])
    torch.testing.assert_close(apply(FEATURES, LENGTHS, drawn)[4:5, :, :90], alone)


def test_a_draw_written_as_json_hides_the_same_cells():
    draw = SpecAugment().draw(np.random.default_rng(0))
    again = json.loads(json.dumps(draw))
    assert torch.equal(tensor_of(draw), tensor_of(again))


def test_no_draw_hides_nothing():
    nothing = tensor_of(None).expand(len(FEATURES), -1, -1, -1)
    assert torch.equal(apply(FEATURES, LENGTHS, nothing), FEATURES)


@pytest.mark.parametrize("key", ["time", "frequency"])
@pytest.mark.parametrize("value", [-0.1, 0.6, "much"])
def test_shares_are_checked(key, value):
    with pytest.raises(ValueError, match=rf"{key} must be from 0 to 0\.5, is"):
        SpecAugment(**{key: value})

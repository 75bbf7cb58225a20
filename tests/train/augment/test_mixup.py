"""Mixup mixes rows by the drawn share and keeps their lengths."""

import json

import numpy as np
import pytest
import torch

from train.augment.mixup import Mixup, apply

LENGTHS = torch.tensor([50, 20, 35])
FEATURES = torch.rand(3, 8, 50, generator=torch.Generator().manual_seed(0)) + 1
FEATURES *= (torch.arange(50) < LENGTHS[:, None])[:, None]


def test_a_row_is_the_mixture_of_itself_and_its_partner():
    mixed = apply(FEATURES, LENGTHS, {"share": 0.7, "partners": [2, 0, 1]})
    torch.testing.assert_close(mixed[1, :, :20], 0.7 * FEATURES[1, :, :20] + 0.3 * FEATURES[0, :, :20])
    assert not mixed[1, :, 20:].any()


def test_a_shorter_partner_starts_again():
    mixed = apply(FEATURES, LENGTHS, {"share": 0.6, "partners": [1, 1, 2]})
    torch.testing.assert_close(mixed[0, :, 40:50], 0.6 * FEATURES[0, :, 40:50] + 0.4 * FEATURES[1, :, :10])


def test_a_row_beside_itself_stays_as_it_was():
    mixed = apply(FEATURES, LENGTHS, {"share": 0.6, "partners": [0, 1, 2]})
    torch.testing.assert_close(mixed, FEATURES)


def test_shares_follow_beta_folded_at_a_half():
    rng = np.random.default_rng(0)
    shares = np.array([Mixup(alpha=0.2).draw(rng, 4)["share"] for _ in range(4000)])
    assert shares.min() >= 0.5
    # The mean of |B - 1/2| + 1/2 for B ~ Beta(0.2, 0.2), from a million draws of numpy's own Beta
    beta = np.random.default_rng(1).beta(0.2, 0.2, 1_000_000)
    assert shares.mean() == pytest.approx(np.maximum(beta, 1 - beta).mean(), abs=0.01)


def test_a_draw_is_plain_data_and_seeded():
    draw = Mixup().draw(np.random.default_rng(5), 3)
    assert draw == json.loads(json.dumps(draw)) == Mixup().draw(np.random.default_rng(5), 3)
    assert sorted(draw["partners"]) == [0, 1, 2]


def test_p_is_the_share_of_batches_that_are_mixed():
    rng = np.random.default_rng(0)
    mixed = sum(Mixup(p=0.3).draw(rng, 4) is not None for _ in range(1000))
    assert 250 < mixed < 350


@pytest.mark.parametrize("alpha", [0, -1, 11, "small"])
def test_alpha_is_checked(alpha):
    with pytest.raises(ValueError, match=r"alpha must be from 0\.01 to 10, is"):
        Mixup(alpha=alpha)

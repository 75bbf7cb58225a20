"""Batchwise augmentation can be replayed, stays in its range and leaves the padding zero."""

import pytest
import torch

from train.augment import Augmentation
from train.augment.batchwise import augment, channel, frequency_warp, spec_augment, time_stretch

ALL = Augmentation(
    crop=0.5, time_stretch=0.2, frequency_warp=0.1, channel=0.2, time_mask=0.2, frequency_mask=0.2
)
GOLDEN = [4.0045395, 13.629712, 22.658115, 32.015717, 27.614624, 50.055298]  # a ramp's sixth frame


def batch():
    features = torch.randn(4, 80, 200, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([200, 150, 90, 40])
    return features * (torch.arange(200) < lengths[:, None])[:, None], lengths


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_gives_the_same_batch():
    first, _ = augment(*batch(), ALL, seeded())
    again, _ = augment(*batch(), ALL, seeded())
    other, _ = augment(*batch(), ALL, seeded(1))
    torch.testing.assert_close(first, again)
    assert first.shape != other.shape or not torch.allclose(first, other)


def test_nothing_switched_on_changes_nothing():
    features, lengths = batch()
    after, lengths_after = augment(features, lengths, Augmentation(), seeded())
    torch.testing.assert_close(after, features)
    assert lengths_after.tolist() == lengths.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_padding_stays_silent(seed):
    features, lengths = augment(*batch(), ALL, seeded(seed))
    for row, length in zip(features, lengths.tolist(), strict=True):
        assert row[:, length:].abs().sum() == 0


@pytest.mark.parametrize("seed", range(5))
def test_time_stretch_stays_in_range_and_changes_every_length_alike(seed):
    features, lengths = time_stretch(*batch(), 0.2, seeded(seed))
    assert 200 / 1.21 <= features.shape[-1] <= 200 / 0.79
    assert (lengths / torch.tensor([200, 150, 90, 40]) - features.shape[-1] / 200).abs().max() < 0.03


def test_frequency_warp_moves_a_band():
    features = torch.zeros(1, 80, 10)
    features[:, 40] = 1
    peaks = {int(frequency_warp(features, 0.2, seeded(s)).mean(-1).argmax()) for s in range(20)}
    assert len(peaks) > 3
    assert all(40 / 1.25 <= peak <= 40 / 0.79 for peak in peaks)


def test_channel_is_constant_in_time_and_smooth_over_bands():
    difference = channel(torch.zeros(3, 80, 50), 0.5, seeded())
    torch.testing.assert_close(difference[..., 0], difference[..., -1])
    assert difference.diff(dim=1).abs().max() < difference.abs().max()
    assert not torch.allclose(difference[0], difference[1])


def test_masks_cover_no_more_than_asked():
    features = torch.rand(64, 80, 100, generator=seeded()) + 1
    lengths = torch.full((64,), 100)
    masked = spec_augment(features, lengths, 0.2, 0.0, seeded()) != features
    assert masked.any()
    assert masked.float().mean((1, 2)).max() <= 0.4


def test_ranges_are_checked():
    with pytest.raises(ValueError, match=r"time_mask must be from 0 to 1, is 1\.5"):
        Augmentation(time_mask=1.5)


def test_the_same_seed_gives_the_numbers_that_recipes_were_trained_with():
    """Golden numbers: what `train/augment.py` gave before it became a package (commit caca037)."""
    ramp = torch.arange(60.0).reshape(1, 6, 10)
    features, lengths = augment(ramp, torch.tensor([10]), ALL, seeded(3))
    assert features.shape == (1, 6, 12)
    assert lengths.tolist() == [12]
    assert features.sum().item() == pytest.approx(1847.8223, abs=1e-3)
    assert features[0, :, 5].tolist() == pytest.approx(GOLDEN, abs=1e-4)

"""The loss: classes that a corpus lacks, class weights, focal loss."""

from pathlib import Path

import pytest
import torch

from train.corpora import Clip
from train.fitting.loss import class_weights, masked_cross_entropy

LABELS = ("neutral", "calm", "sad")
EVERY = torch.ones(5, 4, dtype=torch.bool)


def clips(corpus: str, **counts: int) -> list[Clip]:
    return [
        Clip(corpus, Path(f"{label}{i}.wav"), "s", "", label, "")
        for label, count in counts.items()
        for i in range(count)
    ]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])


def test_a_class_that_a_corpus_lacks_gets_no_gradient():
    logits = torch.zeros(2, 3, requires_grad=True)
    allowed = torch.tensor([[True, True, False], [True, True, True]])
    masked_cross_entropy(logits, torch.tensor([0, 2]), allowed, smoothing=0.1, gamma=2.0).backward()
    assert logits.grad[0, 2] == 0
    assert logits.grad[1].abs().min() > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5, 3.0])])
def test_without_masks_it_is_the_cross_entropy(smoothing, weights):
    logits, targets = batch()
    rows = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
    counts = torch.ones(5) if weights is None else weights[targets]
    loss = masked_cross_entropy(logits, targets, EVERY, smoothing, weights)
    torch.testing.assert_close(loss, (rows * counts).sum() / counts.sum())


def test_the_focal_loss_multiplies_each_row_by_how_unsure_it_is():
    logits, targets = batch()
    log_probabilities = logits.log_softmax(-1)[torch.arange(5), targets]
    expected = (-((1 - log_probabilities.exp()) ** 2) * log_probabilities).mean()
    torch.testing.assert_close(masked_cross_entropy(logits, targets, EVERY, gamma=2.0), expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_the_focal_loss_of_a_row_that_is_sure_has_a_finite_slope(gamma):
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    masked_cross_entropy(
        logits, torch.tensor([0]), torch.ones(1, 2, dtype=torch.bool), gamma=gamma
    ).backward()
    assert logits.grad.isfinite().all()


def test_equal_classes_weigh_the_same():
    weights = class_weights(clips("a", neutral=3, calm=3, sad=3), LABELS, 1.0, {})
    torch.testing.assert_close(weights, torch.ones(3))


def test_a_class_three_times_as_rare_weighs_three_times_as_much():
    neutral, calm, _ = class_weights(clips("a", neutral=6, calm=2), LABELS, 1.0, {}).tolist()
    assert calm == pytest.approx(3 * neutral)
    neutral, calm, _ = class_weights(clips("a", neutral=6, calm=2), LABELS, 0.5, {}).tolist()
    assert calm == pytest.approx(3**0.5 * neutral)


def test_a_class_is_not_rare_because_corpora_lack_it():
    together = clips("a", neutral=4, calm=4, sad=4) + clips("b", neutral=10, sad=10)
    torch.testing.assert_close(class_weights(together, LABELS, 1.0, {}), torch.ones(3))


def test_a_class_that_no_clip_has_weighs_nothing():
    assert class_weights(clips("a", neutral=4, sad=2), LABELS, 1.0, {})[1] == 0
    assert class_weights(clips("a", neutral=4, sad=2), LABELS, 0.5, {})[1] == 0


def test_the_share_of_a_corpus_counts():
    both = clips("a", neutral=4, sad=4) + clips("b", neutral=8, sad=2)
    whole, half = (class_weights(both, LABELS, 1.0, share) for share in ({}, {"b": 0.5}))
    assert half[2] / half[0] == pytest.approx((4 + 4) / (4 + 1))
    assert whole[2] / whole[0] == pytest.approx((4 + 8) / (4 + 2))

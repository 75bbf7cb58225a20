"""Temperature scaling mends confidence without changing the answer."""

import pytest
import torch

from ser_core.checkpoint.calibration import expected_calibration_error, fit_temperature, probabilities


def overconfident(n: int = 4000, factor: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets drawn from the softmax of logits that are then multiplied by `factor`."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, 8, generator=generator) * 2
    targets = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
    return logits * factor, targets


def test_the_true_temperature_is_found():
    assert fit_temperature(*overconfident()) == pytest.approx(3.0, rel=0.1)


def test_scaling_lowers_the_calibration_error():
    logits, targets = overconfident()
    before = expected_calibration_error(probabilities(logits, 1.0), targets)
    after = expected_calibration_error(probabilities(logits, fit_temperature(logits, targets)), targets)
    assert before > 0.2
    assert after < 0.03


def test_calibration_error_of_known_confidence():
    probs = torch.tensor([[0.8, 0.2]] * 10)
    assert expected_calibration_error(probs, torch.tensor([0] * 5 + [1] * 5)) == pytest.approx(0.3)


def test_probabilities_sum_to_one_and_keep_the_order():
    logits, _ = overconfident(50)
    probs = probabilities(logits, 2.5)
    torch.testing.assert_close(probs.sum(-1), torch.ones(50))
    assert (probs.argmax(-1) == logits.argmax(-1)).all()

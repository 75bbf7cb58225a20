"""Calibrated probabilities from logits.

Temperature scaling after Guo et al. (2017), "On calibration of modern neural networks".
"""

import torch
from torch import Tensor

CALIBRATION_BINS = 15  # equal widths of confidence, as in Guo et al.
TEMPERATURE_RANGE = (0.25, 10.0)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Class probabilities `(batch, class)` that sum to 1; `temperature` > 0, above 1 lowers confidence."""
    return (logits / temperature).softmax(-1)


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature that minimises the cross-entropy of `logits` `(n, class)` against `targets` `(n,)`.

    Use speakers that are not in the training data. A class that the corpus of a row lacks may be `-inf`.

    >>> fit_temperature(torch.tensor([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1, 1])) > 1
    True
    """
    log_low, log_high = (torch.tensor(value).log() for value in TEMPERATURE_RANGE)
    log_temperature = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature], lr=0.1, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / log_temperature.exp(), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().clamp(log_low, log_high).exp())


def expected_calibration_error(probs: Tensor, targets: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """Mean gap between confidence and accuracy, weighted by the number of clips in each bin; 0 (best) to 1.

    `probs` `(n, class)` sum to 1 in each row; `targets` `(n,)` are class indices.
    """
    confidence, predicted = probs.max(-1)
    correct = (predicted == targets).double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add(0, index, correct - confidence.double())
    return float(gap.abs().sum() / len(targets))

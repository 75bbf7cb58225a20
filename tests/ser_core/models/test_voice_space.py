"""The evidence for a grouping, against the densities that it is made of."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ser_core.models.voice_space import VoiceSpace, weight_of

ROOM = 1e4  # the deviation of a recording's place that stands for an unknown one


def log_density(points: np.ndarray, weight: np.ndarray, grouping: np.ndarray, between: float) -> float:
    """Of points (point,) in one dimension, whose covariance is written out."""
    same = grouping[:, None] == grouping[None]
    covariance = ROOM**2 + between * same + np.diag(1 / weight)
    return float(multivariate_normal.logpdf(points, np.zeros(len(points)), covariance))


def test_the_evidence_is_that_of_the_densities_written_out():
    rng = np.random.default_rng(0)
    space = VoiceSpace(np.eye(3)[:, :2] * 2, np.array([5.0, 0.5]))
    vectors, weight = rng.normal(size=(7, 3)), weight_of(rng.uniform(1, 3, 7))
    grouping, one = np.array([0, 1, 0, 2, 1, 1, 0]), np.zeros(7, int)
    expected = sum(
        log_density(2 * vectors[:, axis], weight, grouping, between)
        - log_density(2 * vectors[:, axis], weight, one, between)
        for axis, between in enumerate(space.between)
    )
    assert space.log_evidence(vectors, weight, [grouping]) == pytest.approx(expected / weight.sum(), abs=1e-4)


def test_where_the_recording_lies_does_not_count():
    rng = np.random.default_rng(1)
    space = VoiceSpace(rng.normal(size=(5, 4)), np.ones(4))
    vectors, weight, grouping = rng.normal(size=(9, 5)), np.ones(9), np.arange(9) % 2
    moved = space.log_evidence(vectors + 7, weight, [grouping])
    assert moved == pytest.approx(space.log_evidence(vectors, weight, [grouping]))


def test_two_voices_are_more_likely_than_one_where_they_differ():
    rng = np.random.default_rng(2)
    space, grouping = VoiceSpace(np.eye(8), np.full(8, 4.0)), np.arange(20) % 2
    alike = rng.normal(size=(20, 8))
    different = alike + np.where(grouping, 2, -2)[:, None]
    assert space.log_evidence(different, np.ones(20), [grouping]) > 0
    assert space.log_evidence(alike, np.ones(20), [grouping]) < 0

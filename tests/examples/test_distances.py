"""Distances between distributions, where the answer is known."""

import numpy as np
import pytest

from examples.avatars.data import HIDDEN
from examples.avatars.distances import coverage, frechet_distance, frequencies
from jaxlatent.errors import UserError

POINTS = np.random.RandomState(0).standard_normal((500, 4))


def test_frechet_distance_of_a_shift_and_a_scale() -> None:
    assert frechet_distance(POINTS, POINTS) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(POINTS, POINTS + 2) == pytest.approx(16)
    centred = POINTS - POINTS.mean(0)
    expected = 4 * np.trace(np.cov(POINTS.T))  # (3 - 1)^2 times each variance
    assert frechet_distance(centred, 3 * centred) == pytest.approx(expected)


def test_coverage_falls_when_half_is_missing() -> None:
    left = POINTS[POINTS[:, 0] < 0]
    assert coverage(POINTS, POINTS) == 1
    assert coverage(left, POINTS) == 1
    assert 0.4 < coverage(POINTS, left) < 0.75
    assert coverage(POINTS + 100, POINTS) == 0


def test_hidden_labels_are_not_counted() -> None:
    np.testing.assert_allclose(frequencies(np.array([0, HIDDEN, 2, 2]), 3), [1 / 3, 0, 2 / 3])


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(UserError, match="two samples"):
        frechet_distance(POINTS[:1], POINTS)
    with pytest.raises(UserError, match="neighbours must be in"):
        coverage(POINTS, POINTS[:3])

"""Independent, sparse and random directions: planted sources and axes, units and errors."""

import jax
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.find import covariance, ica, random_directions, sparse_pca

RANDOM = np.random.RandomState(0)
KEY = jax.random.key(0)


def rows_of(directions):
    return np.asarray(directions.vectors[:, 0], np.float64)


def test_ica_finds_the_columns_that_sources_move_along():
    """The columns are far from orthogonal, so that the rows which measure sources are others."""
    columns = np.array([[3.0, 0, 0, 0], [1.2, 1.2, 0, 0], [0, 0.5, 0.5, 0.5]])
    sources = RANDOM.uniform(-1, 1, (8000, 3)) * 3**0.5
    found = ica(sources @ columns + 2, 3, KEY)
    lengths = np.linalg.norm(columns, axis=1)
    cosines = np.abs(np.sum(rows_of(found) * columns / lengths[:, None], axis=1))
    assert cosines.min() > 0.999
    np.testing.assert_allclose(found.scale, lengths, rtol=0.03)
    np.testing.assert_allclose(found.scores, lengths**2, rtol=0.06)
    np.testing.assert_allclose(found.mean[0], 2, atol=0.05)


def test_sparse_components_have_few_coordinates():
    blocks = np.zeros((3, 12))
    for i in range(3):
        blocks[i, 4 * i : 4 * i + 4] = (4 - i) / 2
    codes = RANDOM.standard_normal((400, 3)) @ blocks + 0.05 * RANDOM.standard_normal((400, 12))
    found = sparse_pca(codes, 3, KEY, alpha=5.0)
    units = blocks / np.linalg.norm(blocks, axis=1, keepdims=True)
    assert np.abs(np.sum(rows_of(found) * units, axis=1)).min() > 0.999
    assert (rows_of(found)[units == 0] == 0).all()
    projected = (codes @ rows_of(found).T).std(axis=0, ddof=1)
    np.testing.assert_allclose(found.scale, projected, rtol=1e-5)


def test_random_directions_are_even_and_depend_on_their_index_only():
    found = random_directions(KEY, 300, 8)
    np.testing.assert_allclose(np.linalg.norm(rows_of(found), axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.cov(rows_of(found).T) * 8, np.eye(8), atol=0.35)
    np.testing.assert_array_equal(random_directions(KEY, 5, 8).vectors, found.vectors[:5])


def test_random_directions_in_units_of_codes():
    codes = RANDOM.standard_normal((500, 4)) * [4, 3, 2, 1] + 1
    found = random_directions(KEY, 6, 4, covariance(codes))
    projected = (codes @ rows_of(found).T).std(axis=0, ddof=1)
    np.testing.assert_allclose(found.scale, projected, rtol=1e-5)
    np.testing.assert_allclose(found.scores, projected**2, rtol=1e-5)
    np.testing.assert_allclose(found.mean[0], codes.mean(axis=0), rtol=1e-5)
    assert (np.diff(found.scores) <= 0).all()


CODES = RANDOM.standard_normal((20, 3))
WRONG = [
    (lambda: ica(CODES, 4, KEY), "k must be in 1 to 3, got 4"),
    (lambda: ica(CODES[:2], 3, KEY), "k must be in 1 to 2, got 3"),
    (lambda: ica(CODES, 3, KEY, max_iter=1), "no convergence in 1 iterations"),
    (lambda: sparse_pca(CODES, 0, KEY), "k must be in 1 to 3, got 0"),
    (lambda: sparse_pca(CODES * np.nan, 1, KEY), "not finite"),
    (lambda: sparse_pca(CODES, 2, KEY, alpha=-1.0), "alpha must be at least 0, got -1"),
    (lambda: sparse_pca(CODES, 3, KEY, alpha=1e4), "have no coordinates left; lower alpha"),
    (lambda: random_directions(KEY, 0, 3), "must be at least 1, got 0 and 3"),
    (lambda: random_directions(KEY, 2, 4, covariance(CODES)), "of 3 numbers, d is 4"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_arguments_out_of_range(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.usefixtures("lenient")
def test_codes_of_another_shape():
    with pytest.raises(UserError, match=r"codes must be \[n, d\], got \[20\]"):
        ica(CODES[:, 0], 1, KEY)

"""The largest eigenpairs: NumPy's own decomposition, whatever the spectrum."""

import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.find import principal as module
from jaxlatent.find.principal import principal

WIDTH = 150
TURN = np.linalg.qr(np.random.RandomState(1).standard_normal((WIDTH, WIDTH)))[0]


@pytest.fixture(autouse=True)
def sought(monkeypatch):
    """Lets vectors be sought in matrices that are small enough for a test."""
    monkeypatch.setattr(module, "_SMALL", 100)


SPECTRA = {
    "falling": 0.8 ** np.arange(WIDTH),
    "repeated": np.concatenate([np.ones(3), np.full(3, 0.5), 0.3 * 0.8 ** np.arange(WIDTH - 6)]),
    "of low rank": np.concatenate([[9.0, 4.0, 2.0, 1.5, 1.2, 1.1], np.zeros(WIDTH - 6)]),
}


@pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA)
def test_few_components_are_those_of_the_whole_decomposition(values, monkeypatch):
    def whole(matrix):
        raise AssertionError("it was decomposed whole")

    monkeypatch.setattr(module, "_decompose", whole)
    matrix = (TURN * values[None]) @ TURN.T
    matrix = (matrix + matrix.T) / 2
    found, vectors = principal(matrix, 6)
    theirs, columns = np.linalg.eigh(matrix)
    np.testing.assert_allclose(found, theirs[::-1][:6], rtol=1e-10)
    shared = np.linalg.svd(vectors @ columns[:, -6:], compute_uv=False)
    np.testing.assert_allclose(shared, 1, atol=1e-10)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=1e-12)
    again = principal(matrix, 6)
    np.testing.assert_array_equal(vectors, again[1])
    assert (vectors[np.arange(6), np.abs(vectors).argmax(axis=1)] > 0).all()


def test_a_flat_spectrum_is_decomposed_whole():
    matrix = (TURN * np.linspace(1, 1 + 1e-7, WIDTH)[None]) @ TURN.T
    found, _ = principal(matrix, 2)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(matrix)[::-1][:2], rtol=1e-12)


@pytest.mark.parametrize("width", [4, WIDTH])
def test_no_more_components_than_there_is_variance(width):
    matrix = np.diag(np.where(np.arange(width) < 2, 1.0, 0.0))
    with pytest.raises(UserError, match="k must be at most 2"):
        principal(matrix, 3)
    with pytest.raises(UserError, match="k must be at most 0"):
        principal(0 * matrix, 1)

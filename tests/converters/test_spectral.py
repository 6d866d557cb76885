"""Spectral norms folded as each lineage evaluates them, not as the textbook would."""

import numpy as np
import pytest

from converters import ConversionError
from converters.spectral import fold_power_step, fold_stored

RANDOM = np.random.RandomState(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def test_stored_vectors_are_used_as_they_are():
    weight, u, v = normal(3, 2, 2, 2), normal(3), normal(8)
    arrays = {"a.weight_orig": weight, "a.weight_u": u, "a.weight_v": v, "a.bias": normal(3)}
    folded = fold_stored(arrays)
    sigma = sum(u[i] * weight[i].ravel()[j] * v[j] for i in range(3) for j in range(8))
    assert set(folded) == {"a.weight", "a.bias"}
    assert folded["a.weight"].dtype == np.float64
    np.testing.assert_allclose(folded["a.weight"], weight / sigma, rtol=1e-4)


def test_one_power_step_from_the_first_vector():
    weight, u = normal(3, 2, 1, 1), normal(1, 3)
    arrays = {"a.weight": weight, "a.u0": u, "a.sv0": normal(1), "a.u1": normal(1, 3)}
    folded = fold_power_step(arrays | {"b.weight": weight})
    matrix = weight.reshape(3, 2).astype(np.float64)
    v = u @ matrix / np.linalg.norm(u @ matrix)
    step = v @ matrix.T
    sigma = (v @ matrix.T @ (step / np.linalg.norm(step)).T).item()
    assert set(folded) == {"a.weight", "b.weight"}
    np.testing.assert_allclose(folded["a.weight"], weight.astype(np.float64) / sigma, rtol=1e-12)
    np.testing.assert_array_equal(folded["b.weight"], weight)  # not normalised
    assert abs(sigma - np.linalg.svd(matrix)[1][0]) > 1e-3, "not the true norm"


@pytest.mark.parametrize("weight", [np.ones(()), np.ones(3), np.ones((2, 2), "U3")])
def test_vectors_that_do_not_fit_are_named(weight):
    u = np.ones((1, 2), np.float32)
    with pytest.raises(ConversionError, match=r"do not fit the weights of a\.b"):
        fold_power_step({"a.b.weight": weight, "a.b.u0": u})
    with pytest.raises(ConversionError, match=r"do not fit the weights of a\.b"):
        fold_stored({"a.b.weight_orig": weight, "a.b.weight_u": u})

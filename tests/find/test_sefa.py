"""SeFa: planted truth, the paper's invariants, and the original's formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.find import sefa

RANDOM = np.random.RandomState(0)


def matrices(*rows, d=16):
    return [jnp.asarray(RANDOM.standard_normal((r, d)), jnp.float32) for r in rows]


def normalised(a):
    a = np.asarray(a, np.float64)
    return a / np.linalg.norm(a, axis=1, keepdims=True)


def test_planted_directions_come_back_in_order():
    """Each row is a planted direction; a direction's eigenvalue is the number of its rows."""
    basis, _ = np.linalg.qr(RANDOM.standard_normal((12, 12)))
    counts = [9, 7, 5, 3, 1]
    rows = np.concatenate([np.tile(basis[i], (n, 1)) for i, n in enumerate(counts)])
    rows *= RANDOM.uniform(0.1, 10, (len(rows), 1)) * RANDOM.choice([-1, 1], (len(rows), 1))
    found = sefa([jnp.asarray(rows[::2], jnp.float32), jnp.asarray(rows[1::2], jnp.float32)], 5)
    np.testing.assert_allclose(found.scores, counts, rtol=1e-4)
    cosines = np.abs(np.sum(np.asarray(found.vectors[:, 0]) * basis[:5], axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-5)


def test_invariants_of_the_paper():
    weights = matrices(40, 25)
    found = sefa(weights, 16)
    vectors = np.asarray(found.vectors[:, 0], np.float64)
    stacked = np.concatenate([normalised(a) for a in weights])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(16), atol=1e-5)
    np.testing.assert_allclose(np.sum(found.scores), len(stacked), rtol=1e-5)
    moved = stacked @ vectors.T
    np.testing.assert_allclose(moved.T @ moved, np.diag(found.scores), atol=1e-4)
    assert (np.diff(found.scores) <= 0).all()


def test_scores_are_the_originals_eigenvalues_but_sorted():
    weights = matrices(40, 25)
    stacked = np.concatenate([normalised(a) for a in weights])
    values, columns = np.linalg.eig(stacked.T @ stacked)
    order = np.argsort(-values.real)
    found = sefa(weights, 16)
    np.testing.assert_allclose(found.scores, values.real[order], rtol=1e-4)
    cosines = np.sum(columns.real[:, order].T * np.asarray(found.vectors[:, 0]), axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-4)


def test_signs_are_anchored():
    weights = matrices(30)
    found = np.asarray(sefa(weights, 16).vectors[:, 0])
    assert (np.take_along_axis(found, np.abs(found).argmax(1)[:, None], 1) > 0).all()
    flipped = sefa([-weights[0][::-1]], 16).vectors[:, 0]
    np.testing.assert_allclose(flipped, found, atol=1e-4)


def test_per_layer_equals_one_layer_at_a_time():
    weights = matrices(40, 25, 60)
    together = sefa(weights, 4, per_layer=True)
    assert together.vectors.shape == (4, 3, 16)
    for i, a in enumerate(weights):
        alone = sefa([a], 4)
        np.testing.assert_allclose(together.vectors[:, i], alone.vectors[:, 0], atol=1e-4)
        np.testing.assert_allclose(together.scores[:, i], alone.scores, rtol=1e-4)


def test_row_scale_does_not_matter_and_zero_rows_are_harmless():
    (a,) = matrices(30)
    scaled = jnp.concatenate([a * 7, jnp.zeros((3, 16))])
    np.testing.assert_allclose(sefa([scaled], 5).vectors, sefa([a], 5).vectors, atol=1e-4)


def test_jit_and_generators(dcgan, stylegan2):
    for generator in (dcgan, stylegan2):
        d = generator.code_dim
        eager = sefa(generator.affines(), d)
        compiled = jax.jit(lambda g: sefa(g.affines(), g.code_dim))(generator)
        np.testing.assert_allclose(compiled.scores, eager.scores, rtol=1e-4, atol=1e-4)
        assert compiled.names == eager.names


def test_dcgan_counts_its_first_convolution(dcgan):
    kernel = np.asarray(dcgan.layers[0].kernel[...])
    rows = kernel.transpose(0, 1, 3, 2).reshape(-1, kernel.shape[2])
    np.testing.assert_allclose(
        sefa(dcgan.affines(), 6).scores,
        np.sort(np.linalg.eigvalsh(normalised(rows).T @ normalised(rows)))[::-1],
        rtol=1e-4,
    )


@pytest.mark.parametrize("k", [0, -1, 17])
def test_k_out_of_range(k):
    with pytest.raises(UserError, match="k must be in 1 to 16"):
        sefa(matrices(30), k)


def test_matrices_that_do_not_go_together():
    with pytest.raises(UserError, match="one width"):
        sefa([jnp.ones((3, 4)), jnp.ones((3, 5))], 1)
    with pytest.raises(UserError, match="none"):
        sefa([], 1)

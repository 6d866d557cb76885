"""SeFa: planted truth, the paper's invariants, and the original's formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import Edit, UserError, edit
from jaxlatent.find import sefa
from jaxlatent.generators import BigGANConfig

RANDOM = np.random.RandomState(0)


def matrices(*rows, d=16):
    return [jnp.asarray(RANDOM.standard_normal((r, d)), jnp.float32) for r in rows]


def normalised(a):
    a = np.asarray(a, np.float64)
    return a / np.linalg.norm(a, axis=1, keepdims=True)


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


def plant(generator):
    """Gives each block's norms rows along four axes of its own, to the first axis the most.

    The class embedding, which the norms read as well, counts for much more. Returns the axes,
    [blocks, 4, 4], and how many rows each has.
    """
    planted = []
    for block in generator.blocks:
        axes, _ = np.linalg.qr(RANDOM.standard_normal((4, 4)))
        matrices = [m for norm in block.norms for m in (norm.gain, norm.bias)]
        sizes = [m.shape[1] for m in matrices]
        counts = [sum(sizes) - 12, 6, 4, 2]
        kinds = RANDOM.permutation(np.repeat(np.arange(4), counts))
        for matrix, own in zip(matrices, np.split(kinds, np.cumsum(sizes)[:-1]), strict=True):
            read = axes[own].T * RANDOM.uniform(0.1, 3, (1, len(own)))
            other = 10 * RANDOM.standard_normal((matrix.shape[0] - 4, len(own)))
            matrix[...] = jnp.asarray(np.concatenate([read, other]), jnp.float32)
        planted.append(axes)
    return np.stack(planted), counts


@pytest.mark.parametrize("deep", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_planted_norms_of_a_biggan_come_back_layer_by_layer(fill, deep):
    """What its norms read of z is found whatever they read of the class; edits reach it alone."""
    sizes = {"z_dim": 4, "deep": True} if deep else {"z_dim": 12}
    config = BigGANConfig(
        num_classes=3, channels=(8, 8, 8), upsamples=(True, True), embed_dim=5, **sizes
    )
    generator = fill(config)
    truth, counts = plant(generator)
    found = sefa(generator.affines([1, 2]), 4, per_layer=True).bind(generator, [1, 2])
    assert (found.space, found.vectors.shape) == ("z+", (4, 3, 4))
    assert not found.vectors[:, 0].any()
    for i, axes in enumerate(truth):
        cosines = np.abs(np.sum(np.asarray(found.vectors[:, i + 1]) * axes, axis=1))
        np.testing.assert_allclose(cosines, 1, atol=1e-5)
    np.testing.assert_allclose(found.scores[:, 1:], np.tile(counts, (2, 1)).T, rtol=1e-4)
    codes = jnp.asarray(RANDOM.standard_normal((1, 3, 4)), jnp.float32)
    moved = edit(generator, codes, Edit(found[0], [2.0], layers=(1,)))
    label = jnp.array([1])
    read = [generator.prepare(c, label=label) for c in (codes, moved)]
    for layer in (0, 2):
        np.testing.assert_array_equal(read[0][layer], read[1][layer])
    matrices = [m[...] for norm in generator.blocks[0].norms for m in (norm.gain, norm.bias)]
    change = np.asarray((read[1][1] - read[0][1]) @ jnp.concatenate(matrices, axis=1))[0]
    rows = np.asarray(generator.affines([1])[0])
    np.testing.assert_allclose(change, 2 * rows @ np.asarray(found.vectors[0, 1]), atol=1e-4)
    along = np.abs(normalised(rows) @ truth[0, 0]) > 0.5
    assert np.abs(change[~along]).max() < 1e-3 < np.abs(change[along]).min()


@pytest.mark.parametrize("k", [0, -1, 17])
def test_k_out_of_range(k):
    with pytest.raises(UserError, match="k must be in 1 to 16"):
        sefa(matrices(30), k)


def test_matrices_that_do_not_go_together(lenient):
    with pytest.raises(UserError, match="one width"):
        sefa([jnp.ones((3, 4)), jnp.ones((3, 5))], 1)
    with pytest.raises(UserError, match="none"):
        sefa([], 1)
    with pytest.raises(UserError, match=r"must be matrices .* got \[\[3\], \[3, 4\]\]"):
        sefa([jnp.ones(3), jnp.ones((3, 4))], 1)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_rows_of_any_length(scale):
    found = sefa([scale * jnp.array([[2, 0, 0], [1, 0, 0], [0, 1, 0]])], 2)
    np.testing.assert_allclose(found.scores, [2, 1], rtol=1e-6)

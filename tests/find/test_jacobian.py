"""Jacobian methods: closed forms on a linear generator, a blob, differences, every error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from planted import TINY, Linear, PlantedConfig, Strips, codes, cosine

from jaxlatent import UserError
from jaxlatent.find import local_directions, lowrankgan, resefa
from jaxlatent.find.jacobian import jacobian_grams, region_mask
from jaxlatent.find.lowrankgan import robust_pca

BOX = ((2, 6), (1, 5))


@pytest.fixture(scope="module")
def linear():
    return Linear(PlantedConfig(z_dim=6, num_layers=2, side=8))


def columns(linear, mask=None):
    """Returns the Jacobian of the pixels where `mask` holds by a shared move, [d, p]."""
    pixels = np.asarray(linear.pixels[...], np.float64).sum(0)
    mask = np.ones(pixels.shape[1:3], bool) if mask is None else mask
    return pixels[:, mask].reshape(len(pixels), -1)


def gram(rows):
    return rows @ rows.T / rows.shape[1]


def test_a_linear_generator_has_the_pcs_of_its_matrix(linear):
    found = local_directions(linear, codes(linear, 3), 6)
    values, vectors = np.linalg.eigh(gram(columns(linear)))
    np.testing.assert_allclose(found.scores, values[::-1], rtol=1e-4)
    for direction, vector in zip(found, vectors.T[::-1], strict=True):
        assert abs(cosine(direction.vectors, vector)) > 1 - 1e-5
    assert found.space == "w"
    largest = np.take_along_axis(
        np.asarray(found.vectors), np.abs(found.vectors).argmax(2)[..., None], 2
    )
    assert (largest > 0).all()


@pytest.mark.parametrize("region", ["box", "mask"])
def test_resefa_is_the_generalised_eigenvalue_problem(linear, region):
    mask = region_mask(BOX, (8, 8, 3))
    front, back = gram(columns(linear, mask)), gram(columns(linear, ~mask))
    values, vectors = scipy.linalg.eigh(front, back + 1e-3 * np.trace(back) * np.eye(6))
    found = resefa(linear, codes(linear, 1), BOX if region == "box" else mask, 4)
    np.testing.assert_allclose(found.scores, values[::-1][:4], rtol=1e-4)
    for direction, vector in zip(found, vectors.T[::-1], strict=False):
        assert abs(cosine(direction.vectors, vector)) > 1 - 1e-5


def test_chosen_layers_and_rows_of_their_own(linear):
    pixels = np.asarray(linear.pixels[...], np.float64).reshape(2, 6, -1)
    own = local_directions(linear, codes(linear, 1), 2, layers=[1])
    assert own.layers == (1,)
    _, vectors = np.linalg.eigh(gram(pixels[1]))
    assert abs(cosine(own[0].vectors, vectors[:, -1])) > 1 - 1e-5
    rows = local_directions(linear, codes(linear, 1), 2, shared=False)
    _, vectors = np.linalg.eigh(gram(pixels.reshape(12, -1)))
    assert rows.space == "w+"
    assert abs(cosine(rows[0].vectors, vectors[:, -1])) > 1 - 1e-5


@pytest.mark.slow
def test_chunks_do_not_matter_and_codes_are_averaged(dcgan):
    w = codes(dcgan, 2)
    both = jacobian_grams(dcgan, w, BOX, chunk=16)
    parts = [jacobian_grams(dcgan, w[i : i + 1], BOX, chunk=3) for i in range(2)]
    for name in ("region", "rest"):
        mean = np.mean([getattr(part, name) for part in parts], axis=0)
        np.testing.assert_allclose(
            getattr(both, name), mean, rtol=1e-4, atol=1e-5 * np.abs(mean).max()
        )


@pytest.mark.slow
def test_scores_are_the_changes_of_a_real_generator(fill):
    """By differences: along a direction pixels change by its score, in the mean of squares."""
    tiny = fill(TINY)
    w = codes(tiny, 1)

    def half(images):
        return images[:, ::2, ::2]

    found = local_directions(tiny, w, 3, view=half)
    step = 1e-6
    with jax.enable_x64():  # a generator computes in the type of its codes
        ends = np.concatenate([found.vectors * step, -found.vectors * step])
        codes64 = jnp.asarray(np.asarray(w, np.float64) + ends.astype(np.float64))
        images = np.asarray(jax.jit(lambda g, c: half(g.synthesize(c)))(tiny, codes64))
    change = np.mean(np.square((images[:3] - images[3:]) / (2 * step)), axis=(1, 2, 3))
    np.testing.assert_allclose(change, found.scores, rtol=1e-3)


def test_parameters_say_why_there_are_fewer_directions():
    strips = Strips(PlantedConfig(z_dim=6))
    box = ((9, 11), (0, 12))
    found = lowrankgan(strips, jnp.zeros((1, 1, 6)), box, 3, sparsity=float("inf"))
    assert len(found) == 1
    assert (found.parameters["null_rank"], found.parameters["found"]) == (3, 1)


def test_robust_pca_separates_a_planted_sum():
    random = np.random.RandomState(0)
    factors = random.standard_normal((40, 2))
    low = factors @ factors.T
    sparse = np.where(random.uniform(size=(40, 40)) < 0.03, random.choice([-9.0, 9], (40, 40)), 0)
    sparse = np.triu(sparse) + np.triu(sparse, 1).T
    found = robust_pca(low + sparse, 40**-0.5)
    np.testing.assert_allclose(found[0], low, atol=1e-4)
    np.testing.assert_allclose(found[1], sparse, atol=1e-4)
    whole, nothing = robust_pca(low, float("inf"))
    np.testing.assert_array_equal(whole, low)
    assert not nothing.any()
    with pytest.raises(UserError, match="has not converged after 2 steps"):
        robust_pca(low + sparse, 0.1, steps=2)


@pytest.mark.parametrize("sparsity", [1 / 60, 12**-0.5])
def test_robust_pca_ends_at_the_minimum_for_a_matrix_that_is_no_such_sum(sparsity):
    """The sum is convex: what no small change betters is its minimum."""
    random = np.random.RandomState(0)
    rows = random.standard_normal((24, 12)) * np.logspace(0, -2, 12)
    matrix = rows.T @ rows
    low, sparse = robust_pca(matrix, sparsity)
    np.testing.assert_allclose(low + sparse, matrix, atol=1e-6 * np.linalg.norm(matrix))

    def cost(change):
        nuclear = np.abs(np.linalg.eigvalsh(low + change)).sum()
        return nuclear + sparsity * np.abs(matrix - low - change).sum()

    for size in (1e-3, 1e-1, 1):
        for _ in range(50):
            change = random.standard_normal((12, 1)) * (random.uniform(size=(12, 1)) < 0.3)
            change = random.choice([-size, size]) * change @ change.T
            assert cost(change) >= (1 - 1e-6) * cost(0)
    assert min(cost(0.01 * low), cost(-0.01 * low), cost(0.01 * sparse)) >= (1 - 1e-6) * cost(0)


@pytest.mark.usefixtures("lenient")
def test_mistakes(linear):
    w = codes(linear, 1)
    for k in (0, 7):
        with pytest.raises(UserError, match="k must be in 1 to 6"):
            local_directions(linear, w, k)
        with pytest.raises(UserError, match="k must be in 1 to 6"):
            resefa(linear, w, BOX, k)
        with pytest.raises(UserError, match="k must be in 1 to 6"):
            lowrankgan(linear, w, BOX, k)
    for box in (((0, 9), (0, 2)), ((2, 2), (0, 2)), ((0, 2), (-1, 2)), ((0, 2),), ((0, 2), (1,))):
        with pytest.raises(UserError, match=r"a box is .* in an image of 8 by 8"):
            resefa(linear, w, box, 1)
    for mask in (np.ones((8, 7), bool), np.ones((8, 8))):
        with pytest.raises(UserError, match=r"a mask must be booleans \[8, 8\]"):
            resefa(linear, w, mask, 1)
    for mask in (np.zeros((8, 8), bool), np.ones((8, 8), bool)):
        with pytest.raises(UserError, match="some of the pixels, and not all"):
            resefa(linear, w, mask, 1)
    with pytest.raises(UserError, match="a region needs images"):
        resefa(linear, w, BOX, 1, view=lambda x: x.mean((1, 2)))
    with pytest.raises(UserError, match="a view must return an array"):
        local_directions(linear, w, 1, view=lambda x: x.mean((1, 2, 3)))
    with pytest.raises(UserError, match="ridge must be positive"):
        resefa(linear, w, BOX, 1, ridge=0)
    with pytest.raises(UserError, match="chunk must be at least 1"):
        local_directions(linear, w, 1, chunk=0)
    with pytest.raises(UserError, match="sparsity must be positive, got 0; tolerance must be"):
        lowrankgan(linear, w, BOX, 1, sparsity=0, tolerance=1)
    with pytest.raises(UserError, match=r"leaves no low-rank part .* raise sparsity"):
        lowrankgan(linear, w, BOX, 1, sparsity=1e-3)
    with pytest.raises(UserError, match="the rest's Jacobian has rank 6 of 6"):
        lowrankgan(linear, w, BOX, 1, sparsity=float("inf"))

    def only(images):
        return images * region_mask(BOX, (8, 8, 3))[None, :, :, None]

    with pytest.raises(UserError, match="nothing outside of the region changes"):
        resefa(linear, w, BOX, 1, view=only)

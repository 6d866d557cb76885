"""GANSpace: planted components, NumPy's own decompositions, and regression by least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted import Linear, PlantedConfig

from jaxlatent import Edit, UserError, edit
from jaxlatent.find import covariance, ganspace, ganspace_activations, sample
from jaxlatent.generators import BigGANConfig

RANDOM = np.random.RandomState(0)
KEY = jax.random.key(3)
BIGGAN = BigGANConfig(6, 3, (8, 8, 8), (True, True), embed_dim=4)
DEEP = BigGANConfig(6, 3, (8, 8, 8), (True, True), embed_dim=4, deep=True)


@pytest.fixture(scope="module")
def biggan(fill):
    return fill(BIGGAN)


def rows_of(directions):
    return np.asarray(directions.vectors, np.float64).reshape(len(directions), -1)


def test_it_is_the_singular_value_decomposition():
    codes = (RANDOM.standard_normal((300, 10)) * np.logspace(1, -1, 10) + 3).astype(np.float32)
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    found = ganspace(iter(np.split(codes, 7 * [0] + [11, 200])), 10)
    np.testing.assert_allclose(found.scores, values**2 / 299, rtol=1e-6)
    np.testing.assert_allclose(found.scale, values / 299**0.5, rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(rows_of(found) * rows, axis=1)), 1, atol=1e-6)
    ratio = values**2 / np.sum(values**2)
    np.testing.assert_allclose(found.parameters["variance_ratio"], ratio, rtol=1e-6)
    assert (np.diff(found.scores) <= 0).all()
    largest = np.abs(rows_of(found)).argmax(axis=1)
    assert (rows_of(found)[np.arange(10), largest] > 0).all()


def test_positions_count_in_standard_deviations():
    codes = (RANDOM.standard_normal((500, 4)) * [4, 3, 2, 1] + 5).astype(np.float32)
    found = ganspace(codes, 4)
    positions = (codes - np.asarray(found.mean)) @ rows_of(found).T / np.asarray(found.scale)
    np.testing.assert_allclose(positions.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(positions.T), np.eye(4), atol=1e-4)


def test_samples_depend_on_the_key_and_their_index_only(dcgan):
    whole, fewer, other = (
        np.concatenate([b.latents for b in sample(dcgan, key, n, "z")])
        for key, n in ((KEY, 5000), (KEY, 7), (jax.random.key(4), 7))
    )
    np.testing.assert_array_equal(whole, dcgan.sample_z(KEY, 5000))
    np.testing.assert_array_equal(fewer, whole[:7])
    assert np.abs(other - fewer).max() > 0.1


def test_activations_do_not_depend_on_the_batch(dcgan):
    whole, parts = (list(sample(dcgan, KEY, 120, "z", block=0, budget=b)) for b in (None, 50_000))
    assert len(parts) > len(whole) == 1
    for name in ("latents", "features"):
        joined = np.concatenate([getattr(b, name) for b in parts])
        np.testing.assert_allclose(joined, getattr(whole[0], name), atol=1e-5)
    directions = [ganspace_activations(dcgan, KEY, 120, 4, budget=b) for b in (None, 50_000)]
    np.testing.assert_allclose(*(d.vectors for d in directions), atol=1e-4)


def test_w_of_a_generator_is_sampled_and_bound(stylegan2):
    (batch,) = sample(stylegan2, KEY, 40, "w")
    w = jax.jit(lambda g: g.map(g.sample_z(KEY, 40)))(stylegan2)
    np.testing.assert_allclose(batch.latents, w, atol=1e-7)
    codes = (b.latents for b in sample(stylegan2, KEY, 40, "w"))
    assert ganspace(codes, 3).bind(stylegan2, space="w").space == "w"


def test_regression_is_least_squares_on_the_same_samples(dcgan):
    n, k = 120, 4
    found = ganspace_activations(dcgan, KEY, n, k, block=0)
    batches = zip(*sample(dcgan, KEY, n, "z", block=0), strict=True)
    z, y = (np.concatenate(parts).astype(np.float64) for parts in batches)
    centred = y - y.mean(axis=0)
    _, values, components = np.linalg.svd(centred, full_matrices=False)
    coordinates = centred @ components[:k].T / (values[:k] / (n - 1) ** 0.5)
    moves = np.linalg.lstsq(coordinates, z, rcond=None)[0]
    ours = rows_of(found) * np.asarray(found.scale)[:, None]
    sign = np.sign(np.sum(ours * moves, axis=1, keepdims=True))
    np.testing.assert_allclose(ours, moves * sign, atol=1e-5)
    np.testing.assert_allclose(found.scores, values[:k] ** 2 / (n - 1), rtol=1e-5)
    assert found.space == "z"


def test_fewer_samples_than_features_need_no_matrix_of_all_features(monkeypatch):
    """And have the same components as the joint covariance."""
    generator = Linear(PlantedConfig(side=8))
    joint = covariance(np.concatenate(b, axis=1) for b in sample(generator, KEY, 60, "z", block=0))
    values, columns = np.linalg.eigh(joint.matrix[8:, 8:])
    moves = columns[:, :-5:-1].T @ joint.matrix[8:, :8] / values[:-5:-1, None] ** 0.5
    monkeypatch.setattr("jaxlatent.memory.os.sysconf", lambda _: 600)  # 360 kB in all
    found = ganspace_activations(generator, KEY, 60, 4)
    np.testing.assert_allclose(found.scores, values[:-5:-1], rtol=1e-6)
    np.testing.assert_allclose(found.parameters["variance_ratio"], values[:-5:-1] / values.sum())
    lengths = np.linalg.norm(moves, axis=1)
    np.testing.assert_allclose(found.scale, lengths, rtol=1e-6)
    cosines = np.sum(rows_of(found) * moves, axis=1) / lengths
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-6)
    np.testing.assert_allclose(found.mean[0], joint.mean[:8], atol=1e-6)
    for n in (200, 150):
        message = f"192 features of {n} samples need .* or a block of fewer features than 0"
        with pytest.raises(UserError, match=message):
            ganspace_activations(generator, KEY, n, 4)
    with pytest.raises(UserError, match="k must be at most 3, one less than the samples; got 4"):
        ganspace_activations(generator, KEY, 4, 4)


@pytest.mark.slow
def test_a_linear_layers_components_are_its_singular_vectors(fill):
    """The first layer of a BigGAN reads the first part of z alone, linearly."""
    biggan = fill(BIGGAN)
    biggan.first.weight[...] = biggan.first.weight[...] * jnp.array([[2.0], [1.0]])
    found = ganspace_activations(biggan, KEY, 6000, 2, label=1)
    assert found.vectors.shape == (2, 3, 2)
    assert found.space == "z+"
    matrix = np.asarray(biggan.affines([0])[0], np.float64)
    _, values, rows = np.linalg.svd(matrix, full_matrices=False)
    whole = np.asarray(found.vectors, np.float64)
    assert np.abs(np.sum(whole[:, 0] * rows, axis=1)).min() > 0.97
    assert np.abs(whole[:, 1:]).max() < 0.05
    np.testing.assert_allclose(found.scores, values**2, rtol=0.1)
    np.testing.assert_allclose(found.scale, 1, atol=0.05)  # a sigma moves z by one of its own
    with pytest.raises(UserError, match="k must be at most 2"):
        ganspace_activations(biggan, KEY, 100, 3, label=1)


@pytest.mark.slow
def test_edits_by_layer_in_z(biggan):
    found = ganspace_activations(biggan, KEY, 128, 2, label=0)
    codes = biggan.broadcast(biggan.sample_z(KEY, 2))
    moved = edit(biggan, codes, Edit(found, [1.0, 0.0], layers=(1,)))
    np.testing.assert_array_equal(moved[:, [0, 2]], codes[:, [0, 2]])
    step = np.asarray(found.vectors)[0, 1] * float(found.scale[0])
    np.testing.assert_allclose(moved[:, 1] - codes[:, 1], np.tile(step, (2, 1)), atol=1e-6)


@pytest.mark.slow
def test_a_deep_biggan_reads_all_of_z_in_every_layer(fill):
    deep = fill(DEEP)
    found = ganspace_activations(deep, KEY, 128, 2, label=jnp.arange(128) % 3)
    assert found.vectors.shape == (2, 1, 6)
    assert found.space == "z+"
    np.testing.assert_allclose(np.linalg.norm(rows_of(found), axis=1), 1, rtol=1e-6)
    moved = edit(deep, jnp.zeros((1, 3, 6)), Edit(found, [0.0, 1.0], layers=(2,)))
    assert (np.abs(moved[0]).max(axis=1) > 0).tolist() == [False, False, True]


@pytest.mark.slow
def test_activations_of_a_style_based_generator_are_regressed_on_w(stylegan2):
    found = ganspace_activations(stylegan2, KEY, 40, 2, block=0)
    assert (found.space, found.vectors.shape) == ("w", (2, 1, 7))


@pytest.mark.parametrize(
    ("codes", "k", "message"),
    [
        (np.ones((9, 4), np.float32), 5, "k must be in 1 to 4, got 5"),
        (np.ones((9, 4), np.float32), 0, "k must be in 1 to 4, got 0"),
        (np.ones((9, 4), np.float32), 1, "k must be at most 0"),
        (np.ones((0, 4), np.float32), 1, "there are no rows"),
    ],
)
def test_codes_without_so_many_components(codes, k, message):
    with pytest.raises(UserError, match=message):
        ganspace(codes, k)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0, "space": "y", "block": 9}, "n must be at least 1.*space must be z.*block must"),
        ({"label": 1}, "not conditional"),
        ({"k": 1000}, "k must be in 1 to"),
    ],
)
def test_arguments_that_do_not_fit(dcgan, arguments, message):
    with pytest.raises(UserError, match=message):
        ganspace_activations(dcgan, **({"key": KEY, "n": 9, "k": 1} | arguments))


def test_labels_are_checked_before_anything_is_drawn(biggan):
    for label, message in ((None, "conditional"), (3, "0 to 2"), (jnp.zeros(4, int), "9 integers")):
        with pytest.raises(UserError, match=message):
            sample(biggan, KEY, 9, "z", block=0, label=label)
    assert len(next(sample(biggan, KEY, 9, "z")).latents) == 9

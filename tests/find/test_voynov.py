"""Voynov and Babenko: accuracy on planted factors and on none, orthogonality, keys, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted import Blob, Linear, PlantedConfig, codes

from jaxlatent import UserError
from jaxlatent.find import Training, voynov

KEY = jax.random.key(2)


def trained(generator, deformator="orthogonal", steps=300):
    return voynov(
        generator,
        codes(generator, 64),
        3,
        key=KEY,
        deformator=deformator,
        reach=3.0,
        width=4,
        training=Training(steps=steps, batch=16, learning_rate=1e-2),
    )


@pytest.mark.slow
@pytest.mark.parametrize("deformator", ["orthogonal", "projected"])
def test_directions_can_be_told_apart_by_what_they_do(deformator):
    """That is all the loss asks for: a direction may hold parts that change nothing."""
    found = trained(Blob(PlantedConfig(z_dim=8, side=8)), deformator)
    vectors = np.asarray(found.vectors[:, 0], np.float64)
    if deformator == "orthogonal":
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert found.parameters["index_accuracy"] > 0.9
    assert (np.diff(found.scores) <= 0).all()
    np.testing.assert_allclose(found.scores.mean(), found.parameters["index_accuracy"], atol=0.03)
    losses = found.parameters["losses"]
    assert losses[-1] < 0.3 * losses[0]


def test_where_nothing_changes_accuracy_is_that_of_chance():
    blank = Linear(PlantedConfig(z_dim=8, side=8))
    blank.pixels[...] = jnp.zeros_like(blank.pixels[...])
    found = trained(blank, steps=20)
    assert 0.2 < found.parameters["index_accuracy"] < 0.47


@pytest.mark.slow
def test_a_key_decides_everything(dcgan):
    def run(key):
        brief = Training(steps=2, batch=4)
        return voynov(dcgan, codes(dcgan, 4), 5, key=key, width=2, training=brief)

    first, again, other = run(KEY), run(KEY), run(jax.random.key(3))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert not np.allclose(first.vectors, other.vectors, atol=1e-3)
    assert first.space == "z"


@pytest.mark.usefixtures("lenient")
def test_mistakes(dcgan):
    w = codes(dcgan, 3)
    with pytest.raises(UserError, match="k must be in 1 to 6, got 7"):
        voynov(dcgan, w, 7, key=KEY)
    for k in (0, 1):
        with pytest.raises(UserError, match=f"k must be at least 2, .* got {k}"):
            voynov(dcgan, w, k, key=KEY)
    with pytest.raises(UserError, match=r"least < reach, got 2\.0 and 1\.0; shift_weight must"):
        voynov(dcgan, w, 2, key=KEY, least=2.0, reach=1.0, shift_weight=-1.0)
    with pytest.raises(UserError, match="width must be at least 1, got 0"):
        voynov(dcgan, w, 2, key=KEY, width=0)
    with pytest.raises(UserError, match="orthogonal or projected, got 'expm'"):
        voynov(dcgan, w, 2, key=KEY, deformator="expm")

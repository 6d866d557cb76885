"""What an attribute network says about an image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlatent import UserError
from jaxlatent.networks import AttributeNet, AttributesConfig, Category, Factor

HAT = Category("hat", ("none", "cap", "crown"), 2.0)
MOOD = Category("mood", ("sad", "glad"))
CONFIG = AttributesConfig((HAT, MOOD), (Factor("tilt", -10.0, 10.0),), (4,), side=8)


@pytest.fixture(scope="module")
def net():
    return AttributeNet(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (5, 8, 8, 3)), jnp.float32)


def test_scores_are_the_log_odds_of_calibrated_probabilities(net, images):
    assert net.names == ("hat", "hat: cap", "hat: crown", "mood: sad", "mood: glad", "tilt")
    (hats, moods), factors = net(images)
    chances = [np.asarray(jax.nn.softmax(values)) for values in (hats, moods)]
    found = jax.nn.sigmoid(net.scores(images))
    np.testing.assert_allclose(found[:, 0], 1 - chances[0][:, 0], rtol=1e-5)
    np.testing.assert_allclose(found[:, 1:3], chances[0][:, 1:], rtol=1e-5)
    np.testing.assert_allclose(found[:, 3:5], chances[1], rtol=1e-5)
    np.testing.assert_array_equal(net.scores(images)[:, 5], factors[:, 0])


def test_a_temperature_divides_logits(net, images):
    cold = AttributesConfig((Category("hat", HAT.values), MOOD), CONFIG.factors, (4,), side=8)
    plain = AttributeNet(cold, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(2 * net(images)[0][0], plain(images)[0][0], rtol=1e-6)


def test_certain_answers_stay_finite(net, images):
    net = jax.tree.map(lambda leaf: 1000 * leaf, net)
    scores = net.scores(images)
    assert jnp.isfinite(scores).all()
    assert jnp.abs(scores).max() > 100


def test_one_attribute_is_a_scorer_with_a_gradient(net, images):
    scorer = net.scorer("mood: glad")
    compiled = jax.jit(lambda net, images: net.scores(images))
    np.testing.assert_array_equal(scorer(images), compiled(net, images)[:, 4])
    slope = jax.jit(jax.grad(lambda s, x: s(x).sum(), argnums=1))(scorer, images)
    assert jnp.abs(slope).max() > 0


def test_what_does_not_fit_is_refused(net, images):
    with pytest.raises(UserError, match=r"no attribute 'hat: none'; there are hat, hat: cap"):
        net.scorer("hat: none")
    with pytest.raises(UserError, match="images must be of 8x8 pixels, got 4x8"):
        net.scores(images[:, :4])
    with pytest.raises(UserError, match="hat needs two values and a positive temperature; a side"):
        AttributesConfig((Category("hat", ("none",)),), (), (4, 4, 4, 4), side=8)

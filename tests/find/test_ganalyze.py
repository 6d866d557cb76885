"""GANalyze: planted factors, classes with directions of their own, units, determinism, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from planted import TINY, Blob, Linear, PlantedConfig, codes, cosine

from jaxlatent import UserError
from jaxlatent.edits import Edit, edit
from jaxlatent.find import Training, ganalyze
from jaxlatent.find.training import train

KEY = jax.random.key(3)
QUICK = Training(steps=400, batch=8, learning_rate=0.05)


def odd_after_25(parameters, context, keys):
    """Adam's steps are as long as the learning rate, here 1, while the gradient is constant."""
    position = parameters[0]
    return jnp.where(position < -24.5, jnp.nan, 1.0) + position


def test_a_training_stops_soon_after_its_loss_is_odd():
    done = []
    with pytest.raises(UserError, match="the loss is not finite from step 25 on"):
        train(
            odd_after_25,
            jnp.zeros(1),
            None,
            jax.random.key(0),
            Training(steps=1000, batch=1, learning_rate=1.0),
            lambda i, _: done.append(i),
        )
    assert done[-1] == 39


def corner(images):
    return jnp.mean(images[:, :2, :2], axis=(1, 2, 3))


def brightness(images):
    return jnp.mean(images, axis=(1, 2, 3))


def test_it_moves_by_what_is_asked_on_a_linear_generator():
    linear = Linear(PlantedConfig(num_layers=2))
    w = codes(linear, 50)
    found = ganalyze(linear, w, brightness, key=KEY, training=QUICK, keep_norm=False)
    gradient = np.asarray(linear.pixels[...]).mean((2, 3, 4)).sum(0)
    np.testing.assert_allclose(found.scores, [1], atol=1e-3)
    walk = np.asarray(found.vectors[0, 0] * found.scale)
    np.testing.assert_allclose(walk @ gradient, 1, atol=1e-3)
    assert cosine(walk, gradient) > 1 - 1e-5
    moved = edit(linear, w, Edit(found, [0.3]))
    rise = brightness(linear.synthesize(moved)) - brightness(linear.synthesize(w))
    np.testing.assert_allclose(rise, 0.3, atol=1e-3)
    losses = found.parameters["losses"]
    assert len(losses) == 10
    assert losses[-1] < 1e-3 * losses[0]


@pytest.mark.slow
def test_each_code_keeps_its_own_length():
    """Far codes turn less than near ones, so with a length kept the walk must be longer."""
    linear = Linear(PlantedConfig())
    near = codes(linear, 30)
    free, kept = (
        ganalyze(linear, near, brightness, key=KEY, training=QUICK, keep_norm=keep)
        for keep in (False, True)
    )
    mixed = jnp.concatenate([near, 1000 * near])
    again = ganalyze(linear, mixed, brightness, key=KEY, training=QUICK, keep_norm=True)
    assert free.scores[0] > 0.99
    assert 0.5 < kept.scores[0] < free.scores[0]
    assert np.isfinite(again.scores).all()


@pytest.mark.slow
def test_classes_have_directions_of_their_own():
    blob = Blob(PlantedConfig(z_dim=6, num_classes=4))
    label = jnp.tile(jnp.array([0, 1, 3]), 20)
    found = ganalyze(
        blob,
        codes(blob, 60),
        corner,
        key=KEY,
        training=Training(steps=200, batch=12, learning_rate=0.05),
        keep_norm=False,
        reach=0.2,
        per_class=True,
        name="corner",
        label=label,
    )
    assert sorted(found.names) == ["corner, class 0", "corner, class 1", "corner, class 3"]
    for name, axis in (("0", "brightness"), ("1", "row"), ("3", "brightness")):
        direction = found[found.index(f"corner, class {name}")]
        assert cosine(direction.vectors, blob.axis(axis)) > 0.9


@pytest.mark.slow
def test_a_key_decides_everything(fill):
    tiny = fill(TINY)
    w = codes(tiny, 5)

    def run(key):
        training = Training(steps=3, batch=2)
        return ganalyze(tiny, w, brightness, key=key, training=training, layers=[1])

    first, again, other = run(KEY), run(KEY), run(jax.random.key(4))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not np.allclose(first.vectors, other.vectors, atol=1e-3)
    assert (first.space, first.layers) == ("w", (1,))
    old = run(jax.random.PRNGKey(3))
    np.testing.assert_array_equal(first.vectors, old.vectors)


@pytest.mark.slow
def test_a_row_for_each_layer():
    linear = Linear(PlantedConfig(num_layers=4))
    found = ganalyze(
        linear,
        codes(linear, 30),
        brightness,
        key=KEY,
        training=QUICK,
        keep_norm=False,
        layers=[0, 3],
        shared=False,
    )
    assert found.space == "w+"
    assert not found.vectors[:, [1, 2]].any()
    gradient = np.asarray(linear.pixels[...]).mean((2, 3, 4))
    assert cosine(found.vectors[0, [0, 3]], gradient[[0, 3]]) > 1 - 1e-5
    np.testing.assert_allclose(np.linalg.norm(found.vectors), 1, rtol=1e-6)


class Weighted(nnx.Module):
    """A scorer with weights."""

    def __init__(self, weights):
        self.weights = nnx.Param(jnp.asarray(weights))

    def __call__(self, images):
        return jnp.einsum("nhwc,c->n", images, self.weights[...], precision="highest")


def test_a_scorer_with_weights_is_an_argument():
    """One program serves all weights, which are no constants of it."""
    linear = Linear(PlantedConfig(side=4))
    w = codes(linear, 30)
    pixels = np.asarray(linear.pixels[...])[0].sum((1, 2))
    for weights in ([1.0, 0.0, 0.0], [0.0, 1.0, -1.0]):
        scorer = Weighted(weights)
        found = ganalyze(linear, w, scorer, key=KEY, training=QUICK, keep_norm=False)
        assert cosine(found.vectors, pixels @ np.array(weights)) > 1 - 1e-5


def test_mistakes(dcgan):
    w = codes(dcgan, 3)
    with pytest.raises(UserError, match="one number for each image"):
        ganalyze(dcgan, w, lambda x: x, key=KEY)
    with pytest.raises(UserError, match="reach must be positive, got 0"):
        ganalyze(dcgan, w, brightness, key=KEY, reach=0.0)
    with pytest.raises(UserError, match="per_class needs a label, 3 integers"):
        ganalyze(dcgan, w, brightness, key=KEY, per_class=True)
    with pytest.raises(UserError, match="one key is needed"):
        ganalyze(dcgan, w, brightness, key=jax.random.split(KEY))
    with pytest.raises(UserError, match=r"steps must be at least 1, got 0; .*learning_rate must"):
        Training(steps=0, learning_rate=-1.0)
    with pytest.raises(UserError, match="the loss is not finite from step 0 on"):
        ganalyze(dcgan, w, lambda x: corner(x) / 0, key=KEY, training=Training(steps=2, batch=2))

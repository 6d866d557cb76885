"""Mean gradients of a scorer: closed forms on a linear generator, a real one, every error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted import Linear, PlantedConfig, codes, cosine

from jaxlatent import UserError
from jaxlatent.edits import Edit, edit
from jaxlatent.find import scorer_gradients


def brightness(images):
    return jnp.mean(images, axis=(1, 2, 3))


def red_and_green(images):
    return jnp.mean(images, axis=(1, 2))[:, :2]


@pytest.fixture(scope="module")
def linear():
    return Linear(PlantedConfig(num_layers=3))


@pytest.mark.parametrize("normalise", [True, False])
def test_a_linear_generator_has_its_gradient_everywhere(linear, normalise):
    w = codes(linear, 5)
    found = scorer_gradients(linear, w, red_and_green, names=["red", "green"], normalise=normalise)
    truth = np.asarray(linear.pixels[...]).sum(0).mean((1, 2)).T[:2]
    assert found.space == "w"
    for name, expected in zip(("red", "green"), truth, strict=True):
        direction = found[found.index(name)]
        assert cosine(direction.vectors, expected) > 1 - 1e-6
        np.testing.assert_allclose(direction.scores, np.linalg.norm(expected), rtol=1e-5)
    assert found.scores[0] >= found.scores[1]


def test_an_edit_by_one_raises_the_score_by_one(linear):
    w = codes(linear, 5)
    for kind in ({"shared": False}, {"layers": [0, 2]}, {"shared": False, "layers": [2]}):
        found = scorer_gradients(linear, w, brightness, **kind)
        moved = edit(linear, w, Edit(found, [1.0]))
        rise = brightness(linear.synthesize(moved)) - brightness(linear.synthesize(w))
        np.testing.assert_allclose(rise, 1, atol=1e-4)
        still = [i for i in range(3) if i not in kind.get("layers", [0, 1, 2])]
        np.testing.assert_array_equal(moved[:, still], w[:, still])


def test_rows_are_the_layers_own_gradients(linear):
    found = scorer_gradients(linear, codes(linear, 2), brightness, shared=False)
    assert found.space == "w+"
    truth = np.asarray(linear.pixels[...]).mean((2, 3, 4))
    assert cosine(found.vectors[0], truth) > 1 - 1e-6


def test_chunks_do_not_matter(linear):
    w = codes(linear, 5)
    found = [scorer_gradients(linear, w, brightness, chunk=chunk).vectors for chunk in (2, 5)]
    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.slow
def test_a_real_generator_of_classes(fill):
    from generators.test_conformance import BIGGAN_CONFIG

    generator = fill(BIGGAN_CONFIG)
    w = codes(generator, 3)
    found = scorer_gradients(generator, w, brightness, label=jnp.array([0, 2, 1]))
    assert found.space == "z+"
    render = jax.jit(lambda g, c: brightness(g.synthesize(c, label=jnp.array([0, 2, 1]))))
    scores = [render(generator, w + t * found.vectors) for t in (-2e-3, 2e-3)]
    np.testing.assert_allclose(np.mean(scores[1] - scores[0]) / 4e-3, found.scores[0], rtol=1e-2)


def test_mistakes(linear):
    w = codes(linear, 2)
    with pytest.raises(UserError, match=r"codes must have the shape \[n, 3, 8\]"):
        scorer_gradients(linear, w[:, :2], brightness)
    with pytest.raises(UserError, match="codes must not be empty"):
        scorer_gradients(linear, w[:0], brightness)
    with pytest.raises(UserError, match="not conditional; give no label"):
        scorer_gradients(linear, w, brightness, label=jnp.zeros(2, jnp.int32))
    with pytest.raises(UserError, match=r"layers must be in 0 to 2, got \[3\]"):
        scorer_gradients(linear, w, brightness, layers=[3])
    with pytest.raises(UserError, match=r"for 2 images it returned the shape \[\]"):
        scorer_gradients(linear, w, jnp.mean)
    with pytest.raises(UserError, match="the scorer returns 2 numbers; give as many names, got 1"):
        scorer_gradients(linear, w, red_and_green, names=["red"])
    with pytest.raises(UserError, match="score 1 does not grow"):
        scorer_gradients(linear, w, lambda x: red_and_green(x) * jnp.array([[1.0, 0.0]]))
    with pytest.raises(UserError, match="chunk must be at least 1"):
        scorer_gradients(linear, w, brightness, chunk=0)

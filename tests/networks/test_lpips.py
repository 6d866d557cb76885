"""LPIPS is 0 where nothing differs, differentiable where nothing is seen, and a sum of parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_network_conformance import SQUEEZE, filled

from jaxlatent import UserError
from jaxlatent.networks import LPIPSConfig, TrunkConfig

ALEX = LPIPSConfig(TrunkConfig("alexnet", (4, 5, 6, 5, 4)))
IMAGES = jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (3, 63, 70, 3)), jnp.float32)


@pytest.fixture(scope="module")
def lpips():
    return filled(ALEX)


@jax.jit
def distance(lpips, a, b):
    return lpips(a, b)


def test_identical_images_have_a_distance_of_exactly_zero(lpips):
    other = IMAGES.at[1].multiply(0.5)
    found = distance(lpips, IMAGES, other)
    assert found[0] == 0
    assert found[1] > 0
    assert found[2] == 0


def test_it_is_symmetric(lpips):
    a, b = IMAGES, IMAGES[::-1]
    np.testing.assert_allclose(distance(lpips, a, b), distance(lpips, b, a), rtol=1e-4)


def test_gradients_are_finite_where_all_features_are_zero(lpips):
    blind = filled(ALEX)
    blind.trunk.layers["0"].bias[...] = jnp.full(4, -1e3)  # every first activation is 0

    @jax.jit
    def gradient(lpips, a, b):
        return jax.grad(lambda a: jnp.sum(lpips(a, b)))(a)

    assert jnp.isfinite(gradient(blind, IMAGES, IMAGES[::-1])).all()
    assert not gradient(lpips, IMAGES, IMAGES).any()


def test_a_map_is_the_sum_of_the_layers_maps(lpips):
    pair = IMAGES, IMAGES[::-1]
    maps, spatial = jax.jit(lambda m, a, b: (m.maps(a, b), m.spatial(a, b)))(lpips, *pair)
    assert spatial.shape == IMAGES.shape[:3]
    np.testing.assert_allclose(spatial[:, 0, 0], sum(m[:, 0, 0] for m in maps), rtol=1e-4)


@pytest.mark.parametrize("sides", [(70, 81), (33, 34)])
def test_squeezenet_takes_sides_that_its_pools_do_not_divide(sides):
    trunk = jax.eval_shape(lambda m, x: m(x), filled(SQUEEZE), jnp.zeros((1, *sides, 3)))
    expected = []
    for side in sides:
        side = (side - 3) // 2 + 1
        for _ in range(3):
            side = -(-(side - 3) // 2) + 1
        expected.append(side)
    assert trunk.shape[1:3] == tuple(expected)


def test_pairs_must_match(lpips):
    with pytest.raises(UserError, match=r"as many of the same size .* float32 and .* bfloat16"):
        lpips.maps(IMAGES, IMAGES.astype(jnp.bfloat16))


def test_configs_are_checked():
    with pytest.raises(UserError, match="vgg16, alexnet, squeezenet1_1, got 'vgg19'"):
        TrunkConfig("vgg19", (1,))
    with pytest.raises(UserError, match=r"alexnet needs 5 channels of at least 1, got \[1, 2\]"):
        TrunkConfig("alexnet", (1, 2))
    with pytest.raises(UserError, match=r"version must be 0.0 or 0.1, got '2'"):
        LPIPSConfig(ALEX.trunk, "2")

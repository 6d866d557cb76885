"""SNGAN's own: labels of every kind, interpolation, configs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled

from jaxlatent import UserError
from jaxlatent.generators import SNGANConfig
from jaxlatent.generators.filters import upsample_bilinear
from jaxlatent.generators.sngan import ConditionalNorm

CONFIG = SNGANConfig(z_dim=4, bottom_width=2, channels=(4, 3), num_classes=3)
RANDOM = np.random.RandomState(0)


def normal(*shape):
    return jnp.asarray(RANDOM.standard_normal(shape), jnp.float32)


@jax.jit
def synthesize(generator, codes, label):
    return generator.synthesize(codes, label=label)


def test_integers_one_hot_rows_and_mixtures_are_labels():
    generator, codes = filled(CONFIG), normal(3, 1, 4)
    integers = synthesize(generator, codes, jnp.array([2, 0, 1]))
    rows = synthesize(generator, codes, jnp.eye(3)[jnp.array([2, 0, 1])])
    np.testing.assert_allclose(integers, rows, atol=1e-6)
    halves = synthesize(generator, codes, jnp.full((3, 3), 1 / 3))
    assert float(jnp.abs(halves - rows).max()) > 1e-3
    with pytest.raises(UserError, match="conditional: give a label"):
        generator.synthesize(codes)
    assert generator.map(codes[:, 0], jnp.array([2, 0, 1])) is not None
    labelled = jax.jit(lambda c: generator.synthesize(c, label=jnp.array([2, 0, 1])))
    np.testing.assert_allclose(labelled(codes), integers, atol=1e-5)


def test_mixed_labels_mix_gains_and_biases():
    norm, x = ConditionalNorm(2, 3), normal(4, 5, 5, 2)
    norm.table[...] = normal(3, 4)
    ends = [norm(x, jnp.tile(jnp.eye(3)[i : i + 1], (4, 1))) for i in (0, 2)]
    mixed = norm(x, jnp.tile(jnp.array([[0.25, 0.0, 0.75]]), (4, 1)))
    np.testing.assert_allclose(mixed, 0.25 * ends[0] + 0.75 * ends[1], atol=1e-5)
    gain, bias = np.split(np.asarray(norm.table[...])[0], 2)
    np.testing.assert_allclose(ends[0], np.asarray(x) * gain + bias, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_bilinear_upsampling_reads_between_pixel_centres(size):
    x = normal(1, size, 3, 2)
    places = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
    low = np.floor(places).astype(int)
    high, share = np.minimum(low + 1, size - 1), (places - low)[:, None, None]
    rows = (1 - share) * np.asarray(x)[0, low] + share * np.asarray(x)[0, high]
    places = np.clip((np.arange(6) + 0.5) / 2 - 0.5, 0, 2)
    low = np.floor(places).astype(int)
    high, share = np.minimum(low + 1, 2), (places - low)[:, None]
    expected = (1 - share) * rows[:, low] + share * rows[:, high]
    np.testing.assert_allclose(upsample_bilinear(x)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": (4,)}, "1 to 63 blocks"),
        ({"channels": (4, 0)}, "at least 1"),
        ({"num_classes": -1}, "must not be negative"),
        ({"channels": (1,) * 16}, "65536 pixels a side"),
        ({"attention": 1}, "must name a block, 0 to 0, got 1"),
        ({"output_activation": "relu"}, "must be tanh or sigmoid"),
    ],
)
def test_odd_configs_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **change)

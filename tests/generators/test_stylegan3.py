"""StyleGAN3's own: what moves with the transform, configs; the operator against its definition."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled, low_pass, stylegan3_config

from jaxlatent import UserError
from jaxlatent.generators import Filter, Resampling, StyleGAN3Layer, input_transform
from jaxlatent.generators.alias_free import filtered_act

RANDOM = np.random.RandomState(0)


def normal(*shape):
    return jnp.asarray(RANDOM.standard_normal(shape), jnp.float32)


def upright(config):
    """Fills a generator that moves nothing by itself."""
    generator = filled(config)
    generator.input.transform[...] = jnp.eye(3)
    generator.input.affine.weight[...] *= 0
    generator.input.affine.bias[...] = jnp.array([1.0, 0, 0, 0])
    return generator


@jax.jit
def synthesize(generator, codes, transform=None):
    return generator.synthesize(codes, transform=transform)


@pytest.fixture(scope="module")
def wide():
    """A generator whose image has a part that no border reaches."""
    return upright(stylegan3_config(sides=(56, 96, 80)))


def test_the_image_moves_with_the_input(wide):
    codes = wide.broadcast(normal(1, 7))
    still = synthesize(wide, codes, input_transform())[0]
    moved = synthesize(wide, codes, input_transform((2 / 16, -4 / 16)))[0]
    back = jnp.roll(moved, (4, -2), axis=(0, 1))  # pixels up, pixels to the left
    inside = (slice(30, 50), slice(30, 50))
    spread = float(jnp.std(still[inside], axis=(0, 1)).min())
    np.testing.assert_allclose(back[inside], still[inside], atol=1e-3 * spread)
    assert float(jnp.abs(moved - still)[inside].max()) > 0.5 * spread


def test_half_a_pixel_and_its_return(wide):
    """A shift by half a pixel, twice, is a shift by one: no layer is bound to the grid."""
    codes = wide.broadcast(normal(1, 7))
    still, half, one = (
        synthesize(wide, codes, input_transform((x / 16, 0.0)))[0] for x in (0, 0.5, 1)
    )
    inside = (slice(30, 50), slice(30, 50))
    taps = jnp.sinc(jnp.arange(-15, 15) + 0.5) * jnp.hanning(30)  # interpolates at half pixels
    rows = jax.vmap(jax.vmap(lambda r: jnp.convolve(r, taps, "same"), 0), 2, 2)(still)
    spread = float(jnp.std(still[inside], axis=(0, 1)).min())
    error = jnp.sqrt(jnp.mean(jnp.square(rows - half)[inside]))
    assert float(error) < 0.1 * spread
    assert float(jnp.sqrt(jnp.mean(jnp.square(still - one)[inside]))) > 0.3 * spread


def test_a_quarter_turn_turns_the_image():
    """With 1x1 kernels and symmetric filters even the borders turn along, counter-clockwise."""
    generator = upright(stylegan3_config(kernel=1))
    codes = generator.broadcast(normal(2, 7))
    still = synthesize(generator, codes, input_transform())
    turned = synthesize(generator, codes, input_transform(angle=90.0))
    np.testing.assert_allclose(turned, jnp.rot90(still, axes=(1, 2)), atol=1e-3)
    assert float(jnp.abs(turned - still).max()) > 0.1


def test_transforms_are_matrices_for_all_samples_or_one_for_each():
    generator = filled(stylegan3_config())
    codes = generator.broadcast(normal(2, 7))
    stored = generator.input.transform[...]
    default = synthesize(generator, codes)
    np.testing.assert_array_equal(synthesize(generator, codes, stored), default)
    other = stored.at[0, 2].add(0.2)
    both = synthesize(generator, codes, jnp.stack([stored, other]))
    np.testing.assert_allclose(both[0], default[0], atol=1e-5)
    np.testing.assert_allclose(both[1], synthesize(generator, codes, other)[1], atol=1e-5)
    assert float(jnp.abs(both[1] - default[1]).max()) > 1e-3
    features = jax.jit(lambda g, c, t: g.features(c, 2, transform=t))(generator, codes, other)
    np.testing.assert_allclose(features[1] * 0.25, both[1], atol=1e-5)
    slope = jax.jit(jax.grad(lambda t: generator.synthesize(codes, transform=t).sum()))(stored)
    assert float(jnp.abs(slope[:2]).max()) > 0


@pytest.mark.usefixtures("lenient")
def test_odd_transforms_are_refused():
    generator = filled(stylegan3_config())
    codes = generator.broadcast(normal(2, 7))
    for shape in ((2, 3), (3, 3, 3), (9,)):
        with pytest.raises(UserError, match=r"of shape \[3, 3\] or \[2, 3, 3\]"):
            generator.synthesize(codes, transform=jnp.zeros(shape))
    with pytest.raises(UserError, match="block must be in 0 to 2"):
        generator.features(codes, 3)


def test_input_transform_is_the_inverse_of_the_movement():
    c, s = math.cos(math.radians(30)), math.sin(math.radians(30))
    movement = np.array([[c, s, 0.1], [-s, c, -0.2], [0, 0, 1]])
    ours = input_transform((0.1, -0.2), angle=30.0)
    np.testing.assert_allclose(ours @ movement, np.eye(3), atol=1e-6)


def definition(x, resampling, bias, clamp):
    """Zero-insertion, padding, convolution, activation, convolution, decimation (one image)."""

    def convolved(x, taps):
        t = len(taps)
        flipped = taps[::-1, ::-1]
        h, w = x.shape[0] - t + 1, x.shape[1] - t + 1
        return sum(flipped[i, j] * x[i : i + h, j : j + w] for i in range(t) for j in range(t))

    def taps_of(filter):
        return sum(np.outer(r, c) for r, c in zip(filter.rows, filter.columns, strict=True))

    up, down, (low, high) = resampling.up, resampling.down, resampling.padding
    x = np.asarray(x, np.float64) + np.asarray(bias)
    wide = np.zeros((x.shape[0] * up, x.shape[1] * up, x.shape[2]))
    wide[::up, ::up] = x
    wide = np.pad(wide, [(max(low, 0), max(high, 0))] * 2 + [(0, 0)])
    cut = slice(max(-low, 0), None if high >= 0 else high)
    y = convolved(wide[cut, cut], taps_of(resampling.up_filter) * up**2)
    y = np.clip(np.where(y > 0, y, 0.2 * y) * 2**0.5, -clamp, clamp)
    return convolved(y, taps_of(resampling.down_filter))[::down, ::down]


ODD = Filter(((0.1, 0.5, 0.2), (0.3, -0.1, 0.2)), ((0.4, 0.1, 0.5), (0.2, 0.3, -0.4)))


CASES = {
    "2-2": (Resampling(2, 2, (5, 4), low_pass(8, 2), low_pass(8, 2)), (9, 7)),
    "2-2 in blocks": (Resampling(2, 2, (5, 4), low_pass(8, 2), low_pass(8, 2)), (150, 8)),
    "4-2 in blocks": (Resampling(4, 2, (-3, -5), low_pass(16, 4), ODD), (9, 70)),
    "3-1": (Resampling(3, 1, (4, -2), ODD, low_pass(6, 3)), (9, 7)),
    "1-3 in blocks": (Resampling(1, 3, (40, -7), low_pass(5, 1), ODD), (8, 150)),
    "padding": (Resampling(padding=(2, 1)), (9, 7)),
}


@pytest.mark.parametrize("case", CASES)
def test_filtered_activations_of_any_filter(case):
    resampling, shape = CASES[case]
    x, bias = normal(2, *shape, 2), normal(2)
    ours = jax.jit(lambda x, b: filtered_act(x, b, "lrelu", 2.0, resampling))(x, bias)
    for i in range(2):
        expected = definition(x[i], resampling, bias, 2.0)
        assert ours[i].shape == expected.shape
        np.testing.assert_allclose(ours[i], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, "1 to 64 layers, got 0"),
        ({"layers": (StyleGAN3Layer(0, 1, Resampling()),)}, "at least 1"),
        ({"layers": (StyleGAN3Layer(3, 1, Resampling(padding=(-20, 0))),)}, "side must be in 1"),
        ({"layers": (StyleGAN3Layer(3, 1, Resampling(up=16)),) * 4}, "side must be in 1"),
        ({"input_bandwidth": 4.0}, "half of input_rate = 8.0"),
        ({"input_rate": math.nan}, "half of input_rate"),
        ({"input_rate": math.inf}, "half of input_rate"),
        ({"conv_clamp": 0.0}, "conv_clamp must be positive"),
        ({"output_scale": math.inf}, "output_scale must be finite"),
        ({"w_dim": 9}, "must end in w_dim = 9"),
        ({"c_dim": 2}, "embed_dim goes with c_dim"),
    ],
)
def test_configs_out_of_range(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(stylegan3_config(), **change)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Filter(((1.0,),), ()), "as many rows as columns"),
        (lambda: Filter(((1.0,),), ((0.5, 0.5),)), "all of one length"),
        (lambda: Filter((), ()), "as many rows as columns"),
        (lambda: Filter(((),), ((),)), "1 to 128 taps"),
        (lambda: Filter.separable((0.01,) * 129), "1 to 128 taps"),
        (lambda: Filter.separable((math.nan,)), "must be finite"),
        (lambda: Resampling(up=0), "in 1 to 16, got 0, 1"),
        (lambda: Resampling(down=17), "in 1 to 16"),
        (lambda: Resampling(padding=(1 << 20, 0)), "padding must be two"),
    ],
)
def test_odd_filters_and_factors_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()

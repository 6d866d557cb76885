"""StyleGAN2's own: noise, labels, filters, configs; and operators against their definitions."""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled

from jaxlatent import UserError
from jaxlatent.generators import StyleGAN2Config
from jaxlatent.generators.filters import fir, upsample
from jaxlatent.generators.modulation import modulated_conv
from jaxlatent.generators.up_convolutions import up_conv

RANDOM = np.random.RandomState(0)


def normal(*shape):
    return jnp.asarray(RANDOM.standard_normal(shape), jnp.float32)


@pytest.fixture(scope="module")
def codes(stylegan2):
    return stylegan2.broadcast(normal(4, 7))


@partial(jax.jit, static_argnames="noise")
def synthesize(generator, codes, noise="const", key=None):
    return generator.synthesize(codes, noise, key)


def test_random_noise_belongs_to_the_sample(stylegan2, codes):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(3), jnp.arange(4))
    whole = synthesize(stylegan2, codes, "random", jax.random.key(3))
    np.testing.assert_allclose(
        synthesize(stylegan2, codes, "random", keys), whole, rtol=1e-4, atol=1e-4
    )
    part = synthesize(stylegan2, codes[2:], "random", keys[2:])
    np.testing.assert_allclose(part, whole[2:], rtol=1e-4, atol=1e-4)
    other = synthesize(stylegan2, codes, "random", jax.random.key(4))
    assert float(jnp.abs(other - whole).max()) > 1e-2


def test_given_noise_maps(stylegan2, codes):
    stored = [c.noise[...] for b in stylegan2.blocks for c in (b.conv0, b.conv1) if c is not None]
    given = jax.jit(lambda g, c, m: g.synthesize(c, m))
    const = synthesize(stylegan2, codes)
    np.testing.assert_allclose(given(stylegan2, codes, stored), const, rtol=1e-4, atol=1e-4)
    each = [jnp.broadcast_to(m[None], (4, *m.shape)) for m in stored]
    np.testing.assert_allclose(given(stylegan2, codes, each), const, rtol=1e-4, atol=1e-4)
    zero = given(stylegan2, codes, [jnp.zeros_like(m) for m in stored])
    silent = synthesize(stylegan2, codes, "none")
    np.testing.assert_allclose(zero, silent, rtol=1e-4, atol=1e-4)
    gradient = jax.jit(jax.grad(lambda m: stylegan2.synthesize(codes, m).sum()))(stored)
    assert all(float(jnp.abs(g).max()) > 0 for g in gradient)


def test_noise_mistakes(stylegan2, codes):
    with pytest.raises(UserError, match="needs a key"):
        stylegan2.synthesize(codes, "random")
    with pytest.raises(UserError, match="5 arrays of sides"):
        stylegan2.synthesize(codes, [jnp.zeros((4, 4))])
    with pytest.raises(UserError, match="5 arrays of sides"):
        stylegan2.synthesize(codes, [jnp.zeros((4, 4))] * 5)


def test_joint_labels_are_normalised_with_z():
    changes = {"c_dim": 3, "embed_dim": 4, "label_norm": "joint", "mapping_widths": (7,)}
    generator = filled(dataclasses.replace(STYLEGAN2_CONFIG, **changes))
    z, weights = normal(2, 6), jnp.array([[0.5, 0, 0.5], [1, 0, 0]])
    x = np.concatenate([z, np.asarray(weights) @ generator.mapping.embed.weight[...]], axis=1)
    x = x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-8)
    layer = generator.mapping.layers[0]
    y = x @ (layer.weight[...] * 0.1 / math.sqrt(10)) + 0.1 * layer.bias[...][None]
    expected = np.where(y > 0, y, 0.2 * y) * math.sqrt(2)
    np.testing.assert_allclose(generator.map(z, weights), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("lenient")
def test_labels_as_integers_weights_and_mistakes():
    config = dataclasses.replace(STYLEGAN2_CONFIG, c_dim=3, embed_dim=4)
    generator = filled(config)
    z = normal(2, 6)
    by_number = generator.map(z, jnp.array([2, 0]))
    weights = jnp.array([[0.0, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose(generator.map(z, weights), by_number, atol=1e-6)
    halfway = generator.map(z, jnp.array([[0.5, 0, 0.5], [1, 0, 0]]))
    np.testing.assert_allclose(halfway[1], by_number[1], atol=1e-6)
    assert float(jnp.abs(halfway[0] - by_number[0]).max()) > 1e-3
    with pytest.raises(UserError, match="conditional: give a label"):
        generator.map(z)
    with pytest.raises(UserError, match="in 0 to 2"):
        generator.map(z, jnp.array([3, 0]))
    with pytest.raises(UserError, match="2 integers or weights"):
        generator.map(z, jnp.zeros((2, 4)))
    with pytest.raises(UserError, match="must be integers, got float32"):
        generator.map(z, jnp.zeros(2))
    assert generator.map(z[:0], jnp.zeros(0, jnp.int32)).shape == (0, 7)


def test_truncation_without_a_mean_is_refused():
    generator = filled(dataclasses.replace(STYLEGAN2_CONFIG, has_w_avg=False))
    with pytest.raises(UserError, match="no mean w"):
        generator.truncate(generator.broadcast(normal(1, 7)), 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "unet"}, "skip, resnet or orig"),
        ({"activation": "sine"}, "activation must be one of"),
        ({"w_dim": 9}, "must end in w_dim = 9"),
        ({"channels": ()}, "at least 1"),
        ({"channels": (4, 0)}, "at least 1"),
        ({"c_dim": 3}, "embed_dim goes with c_dim"),
        ({"resample_filter": (1.0, 1.0)}, "sum to 1"),
        ({"resample_filter": (math.nan,) * 4}, "sum to 1"),
        ({"mapping_widths": (7,) * 65}, "at most 64 mapping layers, got 65"),
        ({"conv_clamp": -1.0}, "conv_clamp must be positive"),
        ({"channels": (1,) * 14}, "side of 16384 at most, got 32768"),
        ({"mapping_lr_multiplier": 0.0}, r"mapping_lr_multiplier must be in \(0, 1000\]"),
        ({"mapping_lr_multiplier": -1.0}, "mapping_lr_multiplier must be in"),
        ({"mapping_lr_multiplier": math.nan}, "mapping_lr_multiplier must be in"),
        ({"mapping_lr_multiplier": 1e300}, "mapping_lr_multiplier must be in"),
    ],
)
def test_configs_out_of_range(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(STYLEGAN2_CONFIG, **change)


def test_config_sizes():
    config = StyleGAN2Config((512,) * 4 + (256, 128, 64, 32, 16))
    assert (config.resolution, config.num_convs) == (1024, 17)


def definition_of_upfirdn(x, taps, up, low, high, gain):
    """Zero-insertion, padding and true convolution, straight from the definition (one image)."""
    taps = np.asarray(taps)
    h, w, c = x.shape
    wide = np.zeros((h * up, w * up, c))
    wide[::up, ::up] = x
    pad = [(max(low, 0), max(high, 0))] * 2 + [(0, 0)]
    wide = np.pad(wide, pad)
    cut = slice(max(-low, 0), None if high >= 0 else high)
    wide = wide[cut, cut]
    kernel = np.outer(taps, taps) * gain
    t = len(taps)
    out = np.zeros((wide.shape[0] - t + 1, wide.shape[1] - t + 1, c))
    for i in range(t):
        for j in range(t):
            out += kernel[t - 1 - i, t - 1 - j] * wide[i : i + len(out), j : j + out.shape[1]]
    return out


TAPS = [np.array(t) / sum(t) for t in ([1], [1, 1], [1, 2, 1], [1, 4, 2, 1], [1, 4, 6, 4, 1])]
TAPS.append(np.arange(1, 13) / 78)


@pytest.mark.parametrize("taps", TAPS, ids=len)
def test_filters_of_any_length(taps):
    x = normal(1, 5, 5, 2)
    taps = tuple(taps.tolist())
    t = len(taps)
    doubled = definition_of_upfirdn(x[0], taps, 2, (t + 1) // 2, (t - 2) // 2, 4)
    np.testing.assert_allclose(upsample(x, taps)[0], doubled, atol=1e-5)
    low, high = (t + 1) // 2 - 1, (t - 2) // 2
    filtered = definition_of_upfirdn(x[0], taps, 1, low, high, 1)
    np.testing.assert_allclose(fir(x, taps, low, high)[0], filtered, atol=1e-5)
    kernel = normal(3, 3, 2, 3)
    wide = np.zeros((10, 10, 2))
    wide[::2, ::2] = x[0]
    wide = np.pad(wide, ((2, 1), (2, 1), (0, 0)))
    plain = sum(
        wide[i : i + 11, j : j + 11] @ np.asarray(kernel[i, j]) for i in range(3) for j in range(3)
    )
    expected = definition_of_upfirdn(plain, taps, 1, low, high, 4)
    assert expected.shape == (10, 10, 3)
    np.testing.assert_allclose(up_conv(x, kernel, taps)[0], expected, atol=1e-4)


def test_modulated_conv_equals_per_sample_kernels():
    x, kernel, style = normal(3, 6, 6, 4), normal(3, 3, 4, 5), normal(3, 4)
    ours = modulated_conv(x, kernel, style)
    for i in range(3):
        own = kernel * style[i][None, None, :, None]
        own = own / jnp.sqrt(jnp.sum(own**2, (0, 1, 2), keepdims=True) + 1e-8)
        alone = jax.lax.conv_general_dilated(
            x[i : i + 1], own, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        np.testing.assert_allclose(ours[i], alone[0], atol=1e-4)

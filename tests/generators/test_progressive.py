"""PGGAN and StyleGAN 1 beyond what all generators do: growing, labels, noise, odd configs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled

from jaxlatent import UserError
from jaxlatent.generators import PGGANConfig, StyleGAN1Config
from jaxlatent.generators.filters import repeat_pixels
from jaxlatent.generators.layers import instance_norm
from jaxlatent.parameters import build, parameters

PGGAN_CONFIG = PGGANConfig((4, 3), z_dim=5)
STYLEGAN1_CONFIG = StyleGAN1Config((4, 3), z_dim=5, w_dim=6, mapping_widths=(6,))


@pytest.fixture(scope="module", params=[PGGAN_CONFIG, STYLEGAN1_CONFIG], ids=["pggan", "stylegan1"])
def generator(request):
    return filled(request.param)


@pytest.fixture(scope="module")
def codes(generator):
    shape = (2, generator.num_layers, generator.code_dim)
    return jnp.asarray(np.random.RandomState(0).standard_normal(shape), jnp.float32)


@jax.jit
def synthesize(generator, codes):
    return generator.synthesize(codes)


def grown(generator, lod):
    config = dataclasses.replace(generator.config, lod=lod)
    return build(config, parameters(generator))


def test_images_are_mixed_between_two_levels_of_detail(generator, codes):
    full, half, between = (synthesize(grown(generator, lod), codes) for lod in (0.0, 1.0, 0.3))
    np.testing.assert_allclose(half, repeat_pixels(half[:, ::2, ::2]))
    np.testing.assert_allclose(between, 0.7 * full + 0.3 * half, atol=1e-5)


def test_a_generator_may_have_only_the_last_image_layer(generator, codes):
    config = dataclasses.replace(generator.config, all_images=False)
    arrays = {k: v for k, v in parameters(generator).items() if "blocks/0/torgb" not in k}
    last = build(config, arrays)
    np.testing.assert_allclose(synthesize(last, codes), synthesize(generator, codes), atol=1e-5)
    with pytest.raises(UserError, match=r"lod must be in \[0, 0\]"):
        dataclasses.replace(config, lod=0.5)


def test_the_labels_of_a_pggan_are_read_by_the_synthesis():
    generator = filled(dataclasses.replace(PGGAN_CONFIG, channels=(4,), c_dim=3))
    codes = generator.broadcast(jnp.ones((2, 5)))
    label = jnp.array([2, 0])
    render = jax.jit(lambda g, label: g.synthesize(codes, label=label))
    images = render(generator, label)
    np.testing.assert_array_equal(images, render(generator, jax.nn.one_hot(label, 3)))
    assert (images[0] != images[1]).any()
    assert generator.affines()[0].shape == (16 * 4, 5)
    with pytest.raises(UserError, match="this generator is conditional"):
        generator.synthesize(codes)


def test_z_is_normalised_once_or_twice():
    twice = dataclasses.replace(PGGAN_CONFIG, c_dim=1, normalize_z=True)
    joint = dataclasses.replace(twice, normalize_z=False)
    z, label = 3 * jnp.ones((1, 1, 5)), jnp.ones((1, 1))
    np.testing.assert_allclose(filled(twice).prepare(z, label=label), np.ones((1, 6)), atol=1e-6)
    raw = np.array([[3, 3, 3, 3, 3, 1]]) / np.sqrt(46 / 6)
    np.testing.assert_allclose(filled(joint).prepare(z, label=label), raw, atol=1e-6)


def test_the_output_may_have_an_activation():
    config = dataclasses.replace(PGGAN_CONFIG, channels=(4,))
    linear, tanh = (
        synthesize(filled(c), 9 * jnp.ones((1, 1, 5)))
        for c in (config, dataclasses.replace(config, output_activation="tanh"))
    )
    np.testing.assert_allclose(tanh, np.tanh(linear), atol=1e-6)
    assert float(jnp.abs(linear - tanh).max()) > 0.1


def test_noise_of_a_stylegan():
    stored = filled(STYLEGAN1_CONFIG)
    bare = filled(dataclasses.replace(STYLEGAN1_CONFIG, has_noise_maps=False))
    codes = jnp.ones((2, 4, 6))
    maps = stored.prepare(codes).noises
    assert [m.shape for m in maps] == [(1, 4, 4), (1, 4, 4), (1, 8, 8), (1, 8, 8)]
    assert bare.prepare(codes).noises == stored.prepare(codes, "none").noises == [None] * 4
    fresh = bare.prepare(codes, "random", jax.random.key(0)).noises
    assert [m.shape for m in fresh] == [(2, 4, 4), (2, 4, 4), (2, 8, 8), (2, 8, 8)]
    given = jax.jit(lambda g, maps: g.synthesize(codes, noise=maps))
    images = given(stored, maps)
    np.testing.assert_allclose(images, synthesize(stored, codes), atol=1e-5)
    assert float(jnp.abs(images - given(stored, [2 * m for m in maps])).max()) > 1e-2
    with pytest.raises(UserError, match="noise maps must be 4 arrays"):
        bare.prepare(codes, maps[:3])


def test_without_a_mean_w_there_is_no_truncation():
    generator = filled(dataclasses.replace(STYLEGAN1_CONFIG, has_w_avg=False))
    with pytest.raises(UserError, match="no mean w"):
        generator.truncate(jnp.ones((1, 4, 6)), 0.5)


def test_instance_norm():
    x = np.random.RandomState(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    for epsilon in (1e-8, 0.1):
        expected = (x - mean) / np.sqrt(variance + epsilon)
        np.testing.assert_allclose(instance_norm(jnp.asarray(x), epsilon), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (PGGAN_CONFIG, {"channels": ()}, "channels must have a number above 0"),
        (PGGAN_CONFIG, {"channels": (4, 0)}, "channels must have a number above 0"),
        (PGGAN_CONFIG, {"channels": (1,) * 14}, "a side of 16384 at most"),
        (PGGAN_CONFIG, {"z_dim": 0}, "at least 1"),
        (PGGAN_CONFIG, {"c_dim": -1}, "at least 1"),
        (PGGAN_CONFIG, {"lod": 1.5}, r"lod must be in \[0, 1\], got 1.5"),
        (PGGAN_CONFIG, {"lod": float("nan")}, "lod must be in"),
        (PGGAN_CONFIG, {"output_activation": "relu"}, "must be one of"),
        (STYLEGAN1_CONFIG, {"channels": (4, -3)}, "channels must have a number above 0"),
        (STYLEGAN1_CONFIG, {"w_dim": 0}, "at least 1"),
        (STYLEGAN1_CONFIG, {"mapping_widths": ()}, r"must end in 6, got \(\)"),
        (STYLEGAN1_CONFIG, {"mapping_widths": (7,)}, "must end in 6"),
        (STYLEGAN1_CONFIG, {"mapping_widths": (6,) * 65}, "at most 64 mapping layers"),
        (STYLEGAN1_CONFIG, {"w_per_layer": True}, "must end in 24"),
        (STYLEGAN1_CONFIG, {"c_dim": 2}, "embed_dim goes with c_dim"),
        (STYLEGAN1_CONFIG, {"mapping_lr_multiplier": 0.0}, r"in \(0, 1000\]"),
        (STYLEGAN1_CONFIG, {"norm_epsilon": -1.0}, r"in \[0, 1\)"),
        (STYLEGAN1_CONFIG, {"blur_filter": (0.5, 0.5)}, "odd number of taps"),
        (STYLEGAN1_CONFIG, {"blur_filter": (1.0, 2.0, 1.0)}, "of sum 1"),
    ],
)
def test_odd_configs_are_refused(config, changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(config, **changes)

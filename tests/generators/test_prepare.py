"""A prepared generator renders the same images, and is the same generator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled

import jaxlatent
from jaxlatent import UserError, prepare, unprepared
from jaxlatent.generators import StyleGAN2Config
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import fir, repeat_pixels
from jaxlatent.generators.kernels import Prepared, energy
from jaxlatent.generators.up_convolutions import Phases, Sums, doubled_conv, up_conv
from jaxlatent.generators.winograd import Winograd
from jaxlatent.parameters import fingerprint

TAPS = [(0.125, 0.375, 0.375, 0.125), (0.1, 0.2, 0.7), (0.5, 0.5), (1.0,)]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("shape", [(2, 6, 8), (1, 5, 7)])
def test_winograd_is_the_convolution(shape, padding, both):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((*shape, 5)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 5, 4)), jnp.float32)
    found = Winograd.of(kernel, both).convolve(x, padding)
    np.testing.assert_allclose(found, conv(x, kernel, (padding, padding)), atol=3e-5)


@pytest.mark.parametrize("taps", TAPS)
def test_phases_are_the_up_sampling_convolution(taps):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 5, 6, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 4)), jnp.float32)
    spread = conv(x, kernel, (2, 2), dilation=2)
    count = len(taps)
    whole = fir(spread, [2 * t for t in taps], (count + 1) // 2 - 1, (count - 2) // 2)
    np.testing.assert_allclose(up_conv(x, kernel, taps), whole, atol=1e-5)
    ready = Prepared.of(kernel, Phases) * 2.0
    np.testing.assert_allclose(up_conv(x, ready, taps), 2 * whole, atol=2e-5)


@pytest.mark.parametrize("shape", [(2, 5, 6), (1, 1, 1)])
def test_nine_products_are_the_convolution_of_repeated_pixels(shape):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((*shape, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 4)), jnp.float32)
    whole = conv(repeat_pixels(x), kernel, (1, 1))
    np.testing.assert_allclose(doubled_conv(x, kernel), whole, atol=2e-5)
    ready = Prepared.of(kernel, Sums) * 2.0
    np.testing.assert_allclose(doubled_conv(x, ready), 2 * whole, atol=4e-5)


def test_energy_follows_the_factor():
    kernel = jax.random.normal(jax.random.key(0), (3, 3, 4, 5))
    factor = jnp.arange(1.0, 6.0).reshape(1, 1, 1, 5)
    ready = Prepared.of(kernel)
    np.testing.assert_allclose(
        energy(ready * factor * 2.0), energy(kernel * factor * 2.0), rtol=1e-5
    )


WIDE = StyleGAN2Config((64, 64, 64), z_dim=8, w_dim=8, mapping_widths=(8,))


def codes_of(generator, n=3):
    z = generator.sample_z(jax.random.key(0), n)
    return generator.broadcast(generator.map(z))


def test_the_images_are_the_same_and_winograd_makes_them():
    generator = filled(WIDE)
    ready, codes = prepare(generator), codes_of(generator)
    images, same = generator.synthesize(codes), ready.synthesize(codes)
    np.testing.assert_allclose(same, images, atol=2e-5 * float(jnp.abs(images).max()))
    text = str(jax.make_jaxpr(lambda g, c: g.synthesize(c))(ready, codes))
    plain = str(jax.make_jaxpr(lambda g, c: g.synthesize(c))(generator, codes))
    assert text.count("conv_general_dilated") < plain.count("conv_general_dilated")
    slope, own = (
        jax.grad(lambda c, g=g: jnp.sum(jnp.square(g.synthesize(c))))(codes)
        for g in (ready, generator)
    )
    np.testing.assert_allclose(slope, own, atol=1e-4 * float(jnp.abs(own).max()))


def test_fast_is_near():
    generator = filled(WIDE)
    codes = codes_of(generator)
    images = np.asarray(generator.synthesize(codes))
    fast = prepare(generator, "fast")
    found = np.asarray(fast.synthesize(codes))
    assert found.dtype == np.float32
    error = np.abs(found - images).max() / np.ptp(images)
    assert 0 < error < 0.02


def test_it_is_known_and_saved_as_the_generator_is(tmp_path):
    generator = filled(WIDE)
    ready = prepare(generator, "fast")
    assert fingerprint(ready) == fingerprint(generator)
    jaxlatent.save(ready, tmp_path / "model")
    again = jaxlatent.load(tmp_path / "model")
    assert fingerprint(again) == fingerprint(generator)
    np.testing.assert_array_equal(
        prepare(ready).blocks[1].conv1.kernel[...].kernel, generator.blocks[1].conv1.kernel[...]
    )
    assert isinstance(generator.blocks[1].conv1.kernel[...], jax.Array), "stays as it is"


def test_another_precision_is_refused():
    with pytest.raises(UserError, match="exact or fast"):
        prepare(filled(WIDE), "double")


def test_what_is_no_generator_is_refused(lenient):
    with pytest.raises(UserError, match="takes a generator, got a dict"):
        prepare({})


def test_unprepared_leads_back_for_training():
    generator = filled(WIDE)
    again = unprepared(prepare(generator))
    assert jax.tree.structure(again) == jax.tree.structure(generator)
    jax.tree.map(np.testing.assert_array_equal, again, generator)


@pytest.mark.parametrize("both", [False, True])
def test_tiles_have_all_derivatives(both):
    rng = np.random.default_rng(0)
    x, along = (jnp.asarray(rng.standard_normal((2, 6, 8, 5)), jnp.float32) for _ in range(2))
    kernel = jnp.asarray(rng.standard_normal((3, 3, 5, 4)), jnp.float32)

    def ours(v):
        return Winograd.of(kernel, both).convolve(v, 1)

    def back(function):
        return lambda v: jax.vjp(function, x)[1](v)[0]

    y, forward = jax.jvp(ours, (x,), (along,))
    np.testing.assert_allclose(forward, ours(along), atol=3e-5)
    expected = back(lambda v: conv(v, kernel, (1, 1)))(y)
    np.testing.assert_allclose(back(ours)(y), expected, atol=3e-5 * float(expected.max()))
    (again,) = jax.linear_transpose(back(ours), y)(along)
    np.testing.assert_allclose(again, ours(along), atol=3e-5)
    several = jax.vmap(ours, in_axes=2, out_axes=3)(jnp.stack([x, 2 * x], 2))
    np.testing.assert_allclose(several, jnp.stack([ours(x), 2 * ours(x)], 3), atol=6e-5)

"""Terms: each against a few lines of NumPy, their gradients, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve1d

from jaxlatent import UserError
from jaxlatent.invert import (
    Downscaled,
    Embedding,
    InDomain,
    NearMean,
    Perceptual,
    Pixels,
    Pyramid,
    View,
    Whitened,
    WPrior,
    geocross,
    noise_correlation,
    spread,
)
from jaxlatent.invert.losses import total

RANDOM = np.random.RandomState(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def view():
    noise = (normal(2, 4, 4), normal(2, 8, 8), normal(2, 16, 16))
    arrays = normal(2, 8, 8, 3), normal(2, 8, 8, 3), normal(2, 3, 5), normal(2, 4, 5)
    return View(*map(jnp.asarray, arrays), tuple(map(jnp.asarray, noise)))


def test_pixels(view):
    difference = np.asarray(view.images - view.targets, np.float64)
    np.testing.assert_allclose(Pixels(2)(view), (difference**2).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(Pixels(1)(view), abs(difference).mean((1, 2, 3)), rtol=1e-5)
    with pytest.raises(UserError, match="power must be 1 or 2, got 3"):
        Pixels(3)


def test_pyramid(view):
    x = np.asarray(view.images - view.targets, np.float64)
    expected = np.zeros(2)
    for level in range(2):
        small = x
        for axis in (1, 2):
            small = convolve1d(
                small, [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16], axis, mode="nearest"
            )
        small = small[:, ::2, ::2]
        expected += 4.0**level * abs(x - small.repeat(2, 1).repeat(2, 2)).mean((1, 2, 3))
        x = small
    expected += 16 * abs(x).mean((1, 2, 3))
    np.testing.assert_allclose(Pyramid(2)(view), expected, rtol=1e-4)


def test_downscaled(view):
    flat = jnp.zeros_like(view.images)
    shifted = View(flat + 0.5, flat, view.code, view.codes)
    np.testing.assert_allclose(Downscaled(2)(shifted), 0.0625, rtol=1e-5)
    near = View(flat + 0.01, flat, view.code, view.codes)
    np.testing.assert_allclose(Downscaled(2, 2e-3)(near), 2e-3)
    slope = jax.grad(lambda x: Downscaled(2, 2e-3)(View(x, flat, view.code, view.codes)).sum())
    assert (slope(near.images) == 0).all()


def test_networks_terms(view):
    def distance(a, b):
        return jnp.abs(a - b).sum((1, 2, 3))

    small = jax.image.resize(view.images - view.targets, (2, 4, 4, 3), "linear", antialias=False)
    np.testing.assert_allclose(Perceptual(distance, 4)(view), jnp.abs(small).sum((1, 2, 3)), 1e-4)
    np.testing.assert_allclose(Perceptual(distance)(view), distance(view.images, view.targets))

    def embed(images):
        return images.sum((1, 2))

    a, b = (np.asarray(embed(x), np.float64) for x in (view.images, view.targets))
    np.testing.assert_allclose(Embedding(embed)(view), ((a - b) ** 2).mean(1), rtol=1e-4)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(Embedding(embed, cosine=True)(view), 1 - cosines, atol=1e-5)
    codes = InDomain(lambda images: jnp.ones((2, 3, 5)))(view)
    np.testing.assert_allclose(codes, ((np.asarray(view.code) - 1) ** 2).mean((1, 2)), rtol=1e-5)


def test_noise_s_correlation_with_itself(view):
    expected = np.zeros(2)
    for noise in view.noise:
        x = np.asarray(noise, np.float64)
        while True:
            for axis in (1, 2):
                expected += (x * np.roll(x, 1, axis)).mean((1, 2)) ** 2
            if x.shape[1] <= 8:
                break
            x = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    np.testing.assert_allclose(noise_correlation(view), expected, rtol=1e-4)


def test_codes_terms(view):
    code = np.asarray(view.code, np.float64)
    np.testing.assert_allclose(NearMean(jnp.ones(5))(view), ((code - 1) ** 2).mean((1, 2)), 1e-5)
    rows = jnp.arange(15.0).reshape(3, 5)
    expected = ((code - np.asarray(rows)) ** 2).mean((1, 2))
    np.testing.assert_allclose(NearMean(rows)(view), expected, rtol=1e-5)
    expected = ((code - code.mean(1, keepdims=True)) ** 2).mean((1, 2))
    np.testing.assert_allclose(spread(view), expected, rtol=1e-5)


def test_geocross_is_the_squared_angle_of_rows():
    rows = normal(3, 5)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    angles = np.arccos(np.clip(rows @ rows.T, -1, 1))
    view = View(*jnp.zeros((2, 1, 8, 8, 3)), 3 * jnp.asarray(rows)[None], jnp.zeros((1, 3, 5)))
    np.testing.assert_allclose(geocross(view), 5 / 8 * (angles**2).mean(), rtol=1e-3)
    same = View(view.images, view.targets, view.code[:, :1].repeat(3, 1), view.codes)
    assert geocross(same) < 1e-6
    slope = jax.grad(lambda c: geocross(View(view.images, view.targets, c, view.codes)).sum())
    assert np.isfinite(slope(same.code)).all()


def test_the_prior_of_w_whitens_it():
    mix = normal(5, 5)
    x = normal(4000, 5) @ mix + 1
    w = jnp.asarray(np.where(x < 0, 0.2 * x, x))
    prior = WPrior.of(w)
    views = View(*jnp.zeros((2, 4000, 1, 1, 1)), w[:, None], w[:, None])
    np.testing.assert_allclose(prior(views).mean(), 1, atol=2e-3)  # of 5 numbers, the mean square


@pytest.mark.parametrize("sizes", [(500,), (200, 200, 100)])
def test_the_chart_fits_samples_chunk_by_chunk(stylegan2, monkeypatch, sizes):
    monkeypatch.setattr("jaxlatent.invert.charts._CHUNK", sizes[0])
    w = np.concatenate(
        [_w(stylegan2, jax.random.fold_in(jax.random.key(0), i), n) for i, n in enumerate(sizes)]
    )
    x = np.where(w < 0, 5 * w, w).astype(np.float64)
    chart = Whitened.of(stylegan2, 500)
    np.testing.assert_allclose(chart.mean, x.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(chart.deviation, x.std(0, ddof=1), rtol=1e-4)


def _w(generator, key, n):
    return np.asarray(generator.map(generator.sample_z(jax.random.split(key, n), n)))


def test_a_chart_and_its_inverse(stylegan2):
    chart = Whitened(jnp.arange(-3.0, 4), jnp.full(7, 2.0))
    code = jnp.asarray(normal(2, 3, 7))
    np.testing.assert_allclose(chart.inverse(chart(code)), code, atol=1e-5)


def test_charts_that_there_are_not(dcgan, stylegan2):
    with pytest.raises(UserError, match="it needs a mapping network"):
        Whitened.of(dcgan)
    with pytest.raises(UserError, match="samples must be at least 2, got 1"):
        Whitened.of(stylegan2, 1)


def test_the_total_weights_the_terms(view):
    losses, parts = total([(2.0, Pixels(2)), (3.0, spread)], view)
    np.testing.assert_allclose(losses, 2 * parts[0] + 3 * parts[1], rtol=1e-6)
    np.testing.assert_array_equal(parts[1], spread(view))

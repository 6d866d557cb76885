"""Structural similarity against SciPy's filters, and scikit-image where it is installed."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jaxlatent import UserError
from jaxlatent.invert import Dissimilarity, View, ms_ssim, psnr, ssim
from jaxlatent.invert.ssim import WEIGHTS, most_scales


def pair(side, seed=0):
    random = np.random.RandomState(seed)
    smooth = gaussian_filter(random.standard_normal((2, side, side + 4, 3)), (0, 2, 2, 0)) * 3
    other = smooth + 0.2 * random.standard_normal(smooth.shape)
    return [np.clip(x, -1, 1).astype(np.float32) for x in (smooth, other)]


def parts(a, b):
    """Returns similarity and contrast maps, in double precision, where windows lie inside."""

    def blurred(x):
        return gaussian_filter(x, (0, 1.5, 1.5, 0), truncate=3.5)

    a, b = np.float64(a), np.float64(b)
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    contrast = (2 * both + c2) / (var_a + var_b + c2)
    whole = contrast * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return [x[:, 5:-5, 5:-5].mean((1, 2)) for x in (whole, contrast)]


def test_one_scale():
    a, b = pair(32)
    expected = parts(a, b)[0].mean(1)
    assert (expected < 0.95).all()
    np.testing.assert_allclose(ssim(*map(jnp.asarray, (a, b))), expected, atol=2e-5)


def halved(x):
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def test_several_scales():
    a, b = pair(176)
    found = jax.jit(ms_ssim)(jnp.asarray(a), jnp.asarray(b))
    product = np.ones((2, 3))
    for scale, weight in enumerate(WEIGHTS):
        whole, contrast = parts(a, b)
        product *= (whole if scale == 4 else contrast) ** (weight / sum(WEIGHTS))
        a, b = halved(a), halved(b)
    np.testing.assert_allclose(found, product.mean(1), atol=2e-5)
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)


def test_scikit_image_says_the_same():
    metrics = pytest.importorskip("skimage.metrics")
    a, b = pair(40)
    expected = [
        metrics.structural_similarity(
            np.float64(x), np.float64(y), data_range=2, channel_axis=-1, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False,
        )
        for x, y in zip(a, b, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(jnp.asarray(a), jnp.asarray(b)), expected, atol=2e-5)


@pytest.mark.slow
def test_the_term_takes_as_many_scales_as_there_is_room_for():
    a, b = map(jnp.asarray, pair(32))
    code = jnp.zeros((2, 1, 1))
    np.testing.assert_allclose(Dissimilarity()(View(a, b, code, code)), 1 - ms_ssim(a, b, 2))
    np.testing.assert_allclose(Dissimilarity(1)(View(a, b, code, code)), 1 - ssim(a, b), rtol=1e-5)
    np.testing.assert_allclose(Dissimilarity()(View(a, a, code, code)), 0, atol=1e-5)
    slope = jax.grad(lambda x: Dissimilarity()(View(x, b, code, code)).sum())(-b)
    assert np.isfinite(slope).all()


def test_images_that_are_too_small():
    assert most_scales(8) == 0
    small = jnp.zeros((1, 8, 8, 3))
    with pytest.raises(UserError, match="images need 11 pixels for 1 scales, got 8"):
        ssim(small, small)
    with pytest.raises(UserError, match="images need 176 pixels for 5 scales, got 8"):
        ms_ssim(small, small)
    with pytest.raises(UserError, match="scales must be in 1 to 5, got 6"):
        ms_ssim(small, small, 6)


def test_peak_signal_to_noise():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, 3, 4, 5, 3)).astype(np.float32)
    for i in range(3):
        pairs = zip(a[i].flat, b[i].flat, strict=True)
        error = sum((float(x) - float(y)) ** 2 for x, y in pairs) / 60
        assert psnr(a, b)[i] == pytest.approx(10 * math.log10(4 / error), abs=1e-4)
    with pytest.raises(UserError, match="two of"):
        psnr(a, b[:1])
    with pytest.raises(UserError, match="uint8"):
        psnr(a, np.zeros(a.shape, np.uint8))

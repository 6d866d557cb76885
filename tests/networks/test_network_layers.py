"""Pools and interpolation against their definitions, written as loops."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlatent import UserError
from jaxlatent.networks.layers import Conv, max_pool, mean_pool, resize

IMAGES = np.random.RandomState(0).standard_normal((2, 9, 8, 3)).astype(np.float32)


def pooled(x, size, stride, padding, ceil):
    """Torch's definition: the last window must begin inside the input or the padding before it."""
    counts = []
    for length in x.shape[1:3]:
        room = length + 2 * padding - size
        count = (-(-room // stride) if ceil else room // stride) + 1
        counts.append(count - (ceil and (count - 1) * stride >= length + padding))
    found = np.full((x.shape[0], *counts, x.shape[3]), -np.inf, np.float32)
    for i in range(counts[0]):
        for j in range(counts[1]):
            top, left = i * stride - padding, j * stride - padding
            window = x[:, max(top, 0) : top + size, max(left, 0) : left + size]
            found[:, i, j] = window.max(axis=(1, 2))
    return found


@pytest.mark.parametrize(
    ("size", "stride", "padding", "ceil"),
    [(3, 2, 0, False), (3, 2, 0, True), (2, 2, 0, False), (3, 2, 1, False), (2, 3, 1, True)],
)
def test_max_pool(size, stride, padding, ceil):
    found = max_pool(jnp.asarray(IMAGES), size, stride, padding, ceil)
    np.testing.assert_array_equal(found, pooled(IMAGES, size, stride, padding, ceil))


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("sizes", [(13, 20), (5, 3), (1, 8)])
def test_resize(sizes, align_corners):
    found = resize(jnp.asarray(IMAGES), *sizes, align_corners)
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            value = 0
            for axis, (at, count) in enumerate(zip((i, j), sizes, strict=True)):
                size = IMAGES.shape[axis + 1]
                if align_corners:
                    place = at * (size - 1) / (count - 1) if count > 1 else 0.0
                else:
                    place = max((at + 0.5) * size / count - 0.5, 0.0)
                low = min(int(place), size - 1)
                high, part = min(low + 1, size - 1), min(place, size - 1) - low
                x = IMAGES if axis == 0 else value
                value = (1 - part) * np.take(x, low, 1) + part * np.take(x, high, 1)
            np.testing.assert_allclose(found[:, i, j], value, atol=1e-5)


@pytest.mark.parametrize("side", [7, 3, 1, 10])
def test_mean_pool(side):
    found = mean_pool(jnp.asarray(IMAGES), side)
    height, width = IMAGES.shape[1:3]
    for i in range(side):
        for j in range(side):
            rows = slice(i * height // side, -(-(i + 1) * height // side))
            columns = slice(j * width // side, -(-(j + 1) * width // side))
            mean = IMAGES[:, rows, columns].mean(axis=(1, 2))
            np.testing.assert_allclose(found[:, i, j], mean, atol=1e-6)


def test_a_strided_convolution_skips_pixels():
    layer = Conv(3, 4, 3, stride=2, padding=1, rngs=nnx.Rngs(0))
    every = Conv(3, 4, 3, stride=1, padding=1, rngs=nnx.Rngs(0))
    every.kernel[...] = layer.kernel[...]
    images = jnp.asarray(IMAGES)
    np.testing.assert_allclose(layer(images), every(images)[:, ::2, ::2], atol=1e-5)


def test_too_small_images_are_refused():
    images = jnp.asarray(IMAGES)
    with pytest.raises(UserError, match=r"too small .*: a pool of 11 pixels meets 9x8"):
        max_pool(images, 11, 2)
    with pytest.raises(UserError, match=r"too small .*: a convolution of 11 pixels meets 2x8"):
        Conv(3, 4, 11, padding=2, rngs=nnx.Rngs(0))(images[:, :2])

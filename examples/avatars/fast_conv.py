"""Convolutions whose gradients are fast on a CPU, also the up-sampling one.

Measured on XLA:CPU, 64 pixels and 48 channels: the gradient of the kernel takes eight times the
forward pass as the convolution that XLA makes of it, and half of that as nine matrix products.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.layers import PRECISION


def conv3x3(x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"]) -> Float[Array, "n h w o"]:
    """Correlates with a 3x3 kernel, zero outside of the image."""
    return padded_conv(x, kernel)


def padded_conv(
    x: Float[Array, "n h w i"], kernel: Float[Array, "k k i o"]
) -> Float[Array, "n h2 w2 o"]:
    """Correlates with a kernel of 2x2 or 3x3, with one row of zeros on each side."""
    if jax.default_backend() != "cpu" or min(kernel.shape[2:]) < 8:
        return conv(x, kernel, (1, 1))
    return _conv(x, kernel)


@jax.custom_vjp
def _conv(x: Array, kernel: Array) -> Array:
    return conv(x, kernel, (1, 1))


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _conv(x, kernel), (x, kernel)


def _backward(saved: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, kernel = saved
    size, inputs = kernel.shape[0], x.shape[3]
    _, h, w, outputs = slope.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    flat = slope.reshape(-1, outputs)
    products = [
        jnp.matmul(padded[:, i : i + h, j : j + w].reshape(-1, inputs).T, flat)
        for i in range(size)
        for j in range(size)
    ]
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    pulled = _conv(slope, turned)
    if size == 2:  # without the zeros, XLA:CPU takes five times as long
        pulled = pulled[:, 1:-1, 1:-1]
    return pulled, jnp.stack(products).reshape(kernel.shape)


_conv.defvjp(_forward, _backward)

# Which tap (second axis) of a stride-2 transposed kernel (third) reaches which phase (first).
_PHASES = np.array([[[0, 1, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]]], np.float32)


def fast_up_conv(
    x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"], taps: Sequence[float]
) -> Float[Array, "n h2 w2 o"]:
    """Does what `layers.up_conv` does with four taps, as one convolution to all four phases.

    The transposed convolution of stride 2 is a 2x2 convolution to four times the channels; the
    filter follows as shifted sums.
    """
    n, h, w, inputs = x.shape
    outputs = kernel.shape[-1]
    phases = jnp.einsum("pak,qbl,klio->abipqo", _PHASES, _PHASES, kernel, precision=PRECISION)
    y = padded_conv(x, phases.reshape(2, 2, inputs, 4 * outputs))
    y = y.reshape(n, h + 1, w + 1, 2, 2, outputs).transpose(0, 1, 3, 2, 4, 5)
    return _blur(y.reshape(n, 2 * h + 2, 2 * w + 2, outputs), tuple(2 * tap for tap in taps))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _blur(x: Array, taps: tuple[float, ...]) -> Array:
    """Filters both axes by four taps, with one row of zeros after the end."""
    return _filtered(x, taps[::-1], (0, 1))


def _filtered(x: Array, taps: tuple[float, ...], zeros: tuple[int, int]) -> Array:
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = zeros
        # XLA:CPU would compute the transposition before, or the other axis, once for every tap.
        x = jnp.pad(lax.optimization_barrier(x), padding)
        size = x.shape[axis] - 3
        x = sum(tap * lax.slice_in_dim(x, i, i + size, axis=axis) for i, tap in enumerate(taps))
    return lax.optimization_barrier(x)


_blur.defvjp(
    lambda x, taps: (_blur(x, taps), None),
    lambda taps, _, slope: (_filtered(slope, taps, (3, 2)),),
)

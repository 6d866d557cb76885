"""3x3 convolutions whose gradients are fast on a CPU, and the up-sampling one folded into them.

Measured on XLA:CPU, 64 pixels and 48 channels: the gradient of the kernel takes eight times the
forward pass as the convolution that XLA makes of it, and half of that as nine matrix products.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.generators.layers import PRECISION, conv


def conv3x3(x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"]) -> Float[Array, "n h w o"]:
    """Correlates with a 3x3 kernel, zero outside of the image."""
    if jax.default_backend() != "cpu" or min(kernel.shape[2:]) < 8:
        return conv(x, kernel, (1, 1))
    return _conv3x3(x, kernel)


@jax.custom_vjp
def _conv3x3(x: Array, kernel: Array) -> Array:
    return conv(x, kernel, (1, 1))


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _conv3x3(x, kernel), (x, kernel)


def _backward(saved: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, kernel = saved
    _, h, w, inputs = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    flat = slope.reshape(-1, slope.shape[-1])
    rows = [
        [jnp.matmul(padded[:, i : i + h, j : j + w].reshape(-1, inputs).T, flat) for j in range(3)]
        for i in range(3)
    ]
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return _conv3x3(slope, turned), jnp.stack([jnp.stack(row) for row in rows])


_conv3x3.defvjp(_forward, _backward)


def folded_up_conv(
    x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"], taps: Sequence[float]
) -> Float[Array, "n h2 w2 o"]:
    """Does what `layers.up_conv` does with four taps, as one convolution to all four phases.

    Output pixel 2 q + p is a 3-tap filter of x around q, whose taps are sums of products of the
    kernel's and the filter's taps: more products, but none of the strided gradients that are slow.
    """
    fold = np.zeros((2, 3, 3), np.float32)
    for phase in range(2):
        for i in range(4):
            for k in range(3):
                offset = phase + i + k - 3  # in the image with zeros between its pixels
                if offset % 2 == 0:
                    fold[phase, offset // 2 + 1, k] += 2 * taps[3 - i]
    n, h, w, inputs = x.shape
    outputs = kernel.shape[-1]
    folded = jnp.einsum("pak,qbl,klio->abipqo", fold, fold, kernel, precision=PRECISION)
    y = conv3x3(x, folded.reshape(3, 3, inputs, 4 * outputs)).reshape(n, h, w, 2, 2, outputs)
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, outputs)

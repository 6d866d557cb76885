"""Correlations of NHWC images with HWIO kernels, in full float32 precision.

They are computed in the dtype of the images, to which the kernel is cast.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.generators.layers import PRECISION

_NHWC = ("NHWC", "HWIO", "NHWC")
_FEW = 256  # pixels of all images, up to which CPUs should multiply windows by the kernel


def pixels(x: Float[Array, "n h w c"]) -> int:
    """Counts the pixels of all images; of one, where their number is a symbol (exports)."""
    n, h, w, _ = x.shape
    return h * w * (n if isinstance(n, int) else 1)


def correlate(
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "kh kw i o"],
    padding: Sequence[tuple[int, int]],
    dilation: int = 1,
    stride: int = 1,
) -> Float[Array, "n h2 w2 o"]:
    """Correlates, with padding by axis; other arguments are as of `conv`."""
    kernel = kernel.astype(x.dtype)
    few = pixels(x) <= _FEW and kernel.shape[:2] != (1, 1)
    if few and dilation == stride == 1 and jax.default_backend() == "cpu":
        return _of_windows(x, kernel, padding)
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
        precision=PRECISION,
    )


def _of_windows(x: Array, kernel: Array, padding: Sequence[tuple[int, int]]) -> Array:
    """Multiplies windows, side by side, by the kernel, whose gradient needs no transposed copy."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    tall, wide, inputs, outputs = kernel.shape
    n, h, w = x.shape[0], x.shape[1] - tall + 1, x.shape[2] - wide + 1
    windows = [x[:, i : i + h, j : j + w] for i in range(tall) for j in range(wide)]
    flat = jnp.stack(windows, axis=3).reshape(n * h * w, tall * wide * inputs)
    y = jnp.matmul(flat, kernel.reshape(flat.shape[1], outputs), precision=PRECISION)
    return y.reshape(n, h, w, outputs)

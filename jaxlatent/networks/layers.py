"""Operators and layers shared by the networks that are not generators: NHWC, HWIO, as torch's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.layers import PRECISION


class Conv(nnx.Module):
    """Convolution with a stride, and a bias if there is one.

    Example:
        >>> layer = Conv(3, 8, kernel=3, stride=2, padding=1, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((1, 9, 8, 3))).shape
        (1, 5, 4, 8)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        shape = (kernel, kernel, inputs, outputs)
        scale = math.sqrt(2 / (kernel * kernel * inputs))
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(outputs)) if bias else None
        self.stride = stride
        self.padding = padding

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer."""
        side = self.kernel.shape[0] - 2 * self.padding
        check_size(x, side, f"a convolution of {self.kernel.shape[0]} pixels")
        x = conv(x, self.kernel[...], (self.padding, self.padding), stride=self.stride)
        return x if self.bias is None else x + self.bias[...].astype(x.dtype)[None, None, None]


def check_images(images: Array, channels: int) -> None:
    """Raises `UserError` unless `images` are [n, h, w, channels] of a floating type."""
    if images.ndim != 4 or images.shape[-1] != channels:
        raise UserError(
            f"images must have the shape [n, h, w, {channels}], got {list(images.shape)}"
        )
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(
            f"images must be of a floating type, in [-1, 1], got {images.dtype}; uint8 pixels are "
            "x / 127.5 - 1"
        )


def check_size(x: Array, side: int, what: str) -> None:
    """Raises `UserError` if a side of `x` has fewer than `side` pixels."""
    if min(x.shape[1:3]) < side:
        raise UserError(
            f"the images are too small for this network: {what} meets {x.shape[1]}x{x.shape[2]}"
        )


def max_pool(
    x: Float[Array, "n h w c"], size: int, stride: int, padding: int = 0, ceil: bool = False
) -> Float[Array, "n h2 w2 c"]:
    """Takes the maximum over windows.

    Args:
        x: the input.
        size: side of a window.
        stride: distance between windows.
        padding: pixels of minus infinity on every side.
        ceil: whether a last window that reaches beyond the input counts (torch's `ceil_mode`).

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> max_pool(x, 3, 2).shape, max_pool(x, 3, 2, ceil=True).shape
        ((1, 1, 1, 1), (1, 2, 2, 1))
    """
    check_size(x, size - 2 * padding, f"a pool of {size} pixels")
    pads = []
    for length in x.shape[1:3]:
        last = -(-(length + 2 * padding - size) // stride) * stride  # where it would begin
        whole = not ceil or last >= length + padding  # torch lets none begin in the padding
        pads.append((padding, padding if whole else max(padding, last + size - length - padding)))
    return lax.reduce_window(
        x,
        -jnp.inf,
        lax.max,
        (1, size, size, 1),
        (1, stride, stride, 1),
        ((0, 0), *pads, (0, 0)),
    )


def _mix(x: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    """Multiplies both axes of images by a matrix each."""
    x = jnp.einsum("oh,nhwc->nowc", jnp.asarray(rows, x.dtype), x, precision=PRECISION)
    return jnp.einsum("ow,nhwc->nhoc", jnp.asarray(columns, x.dtype), x, precision=PRECISION)


def _bilinear(size: int, outputs: int, align_corners: bool) -> np.ndarray:
    """Returns the matrix [outputs, size] of a linear interpolation."""
    places = np.arange(outputs, dtype=np.float64)
    if align_corners:
        places = places * (size - 1) / max(outputs - 1, 1)
    else:
        places = np.clip((places + 0.5) * size / outputs - 0.5, 0, None)
    distance = np.abs(np.minimum(places, size - 1)[:, None] - np.arange(size)[None])
    return np.clip(1 - distance, 0, None)


def resize(
    x: Float[Array, "n h w c"], height: int, width: int, align_corners: bool
) -> Float[Array, "n h2 w2 c"]:
    """Interpolates bilinearly, without a filter against aliasing.

    Args:
        x: the input.
        height: of the output.
        width: of the output.
        align_corners: whether the outer pixels' centres stay where they are, or their edges.

    Example:
        >>> resize(jnp.array([[[[0.0], [2.0]]]]), 1, 3, align_corners=True).ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    sizes = zip(x.shape[1:3], (height, width), strict=True)
    return _mix(x, *(_bilinear(size, outputs, align_corners) for size, outputs in sizes))


def _bins(size: int, outputs: int) -> np.ndarray:
    """Returns the matrix [outputs, size] of means over bins, which overlap where they must."""
    matrix = np.zeros((outputs, size))
    for i in range(outputs):
        low, high = i * size // outputs, -(-(i + 1) * size // outputs)
        matrix[i, low:high] = 1 / (high - low)
    return matrix


def mean_pool(x: Float[Array, "n h w c"], side: int) -> Float[Array, "n side side c"]:
    """Averages over `side` x `side` bins, whatever the input's size (torch's adaptive pooling).

    Example:
        >>> mean_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2).ravel().tolist()
        [2.5, 4.5, 10.5, 12.5]
    """
    return _mix(x, *(_bins(size, side) for size in x.shape[1:3]))

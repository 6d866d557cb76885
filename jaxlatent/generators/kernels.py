"""Kernels of convolutions with what can be computed of them once, before any image.

Winograd's minimal filtering F(2x2, 3x3) needs 16 multiplications where a 3x3 convolution needs 36
(Lavin and Gray 2015, arXiv:1509.09308).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

_FEWEST = 128  # channels with which Winograd's filtering gains on CPUs
_SMALLEST = 128  # pixels, of all images together, from which on it does

# Input tiles, kernels and output tiles are transformed by these matrices from both sides.
_INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
_OUTPUT = ((1, 1, 1, 0), (0, 1, -1, -1))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prepared:
    """A kernel that stands where a network keeps an array.

    Attributes:
        kernel: as it is stored.
        energy: sums of squares over the kernel's places, which demodulation needs.
        winograd: transformed for Winograd's filtering; `None` for kernels that gain nothing by it.
        half: in bfloat16, in which it is then applied; `None` for full precision.
        factor: of the outputs, one or [1, 1, 1, o]; multiplying the kernel changes only this.
    """

    kernel: Float[Array, "kh kw i o"]
    energy: Float[Array, "i o"]
    winograd: Float[Array, "4 4 i o"] | None
    half: Array | None
    factor: Array

    @classmethod
    def of(cls, kernel: Float[Array, "kh kw i o"], half: bool, winograd: bool) -> "Prepared":
        """Computes what a kernel needs; `winograd` only where it is of use."""
        wide = _wide(kernel)
        fits = kernel.shape[:2] == (3, 3) and min(kernel.shape[2:]) >= _FEWEST
        return cls(
            kernel,
            jnp.sum(jnp.square(wide), axis=(0, 1)),
            _transformed(wide) if winograd and fits and not half else None,
            kernel.astype(jnp.bfloat16) if half else None,
            jnp.ones((1, 1, 1, 1), jnp.float32),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel."""
        return self.kernel.shape

    def __getitem__(self, index: EllipsisType) -> "Prepared":
        return self  # as `variable[...]` of an array is the array

    def __mul__(self, factor: Any) -> "Prepared":
        """Scales the kernel by a number, or by [1, 1, 1, o], each output channel by its own."""
        return replace(self, factor=self.factor * factor)


Kernel = Array | Prepared


def plain(kernel: Any) -> Any:
    """Returns the stored array of a kernel that is prepared, and anything else as it is."""
    return kernel.kernel if isinstance(kernel, Prepared) else kernel


def energy(kernel: Kernel) -> Float[Array, "i o"]:
    """Returns the sums of a kernel's squares over its places."""
    if isinstance(kernel, Prepared):
        return kernel.energy * jnp.square(kernel.factor).reshape(1, -1)
    return jnp.sum(jnp.square(_wide(kernel)), axis=(0, 1))


def _wide(kernel: Array) -> Array:
    return kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))


def _transformed(kernel: Float[Array, "3 3 i o"]) -> Float[Array, "4 4 i o"]:
    return jnp.einsum("ak,bl,klio->abio", _KERNEL, _KERNEL, kernel, precision=lax.Precision.HIGHEST)


def gains_by_winograd(kernel: Prepared, x: Float[Array, "n h w i"]) -> bool:
    """Whether a 3x3 convolution of `x` is faster so, in float32 and with many pixels."""
    pixels = x.shape[0] * x.shape[1] * x.shape[2]
    return kernel.winograd is not None and x.dtype == jnp.float32 and pixels >= _SMALLEST


def _combined(signs: Sequence[int], parts: Sequence[Array]) -> Array:
    """Returns the sum of parts, each taken by its sign or left out."""
    terms = [part if sign > 0 else -part for sign, part in zip(signs, parts, strict=True) if sign]
    return sum(terms[1:], terms[0])


def winograd_conv(
    x: Float[Array, "n h w i"], kernel: Float[Array, "4 4 i o"], padding: int
) -> Float[Array, "n h2 w2 o"]:
    """Correlates with a 3x3 kernel that has been transformed; `padding` zeros are added around."""
    n, height, width, channels = x.shape
    tall, wide = height + 2 * padding - 2, width + 2 * padding - 2
    down, across = (tall + 1) // 2, (wide + 1) // 2
    ends = [(padding, padding + size % 2) for size in (tall, wide)]
    x = jnp.pad(x, ((0, 0), *ends, (0, 0)))
    rows = [x[:, i : i + 2 * down - 1 : 2] for i in range(4)]
    products: list[list[Array]] = []
    for signs, kernels in zip(_INPUT, kernel, strict=True):
        row = _combined(signs, rows)
        places = [row[:, :, j : j + 2 * across - 1 : 2] for j in range(4)]
        tiles = [_combined(signs, places).reshape(-1, channels) for signs in _INPUT]
        products.append([_times(tile, k) for tile, k in zip(tiles, kernels, strict=True)])
    columns = [list(column) for column in zip(*products, strict=True)]
    images = [
        jnp.stack([_combined(signs, [_combined(up, c) for c in columns]) for signs in _OUTPUT], 1)
        for up in _OUTPUT
    ]
    y = jnp.stack([image.reshape(n, down, across, 2, -1) for image in images], 2)
    return y.reshape(n, 2 * down, 2 * across, -1)[:, :tall, :wide]


def _times(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)

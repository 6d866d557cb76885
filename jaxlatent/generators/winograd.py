"""3x3 convolutions with a third of the products: Lavin and Gray 2015, arXiv:1509.09308.

A tile of 4 x 2 pixels comes from 6 x 4 products instead of 72. Outputs of one axis are coefficients
of a product of polynomials, which is interpolated from its values at as many points (Toom and
Cook); points around 1 keep the rounding errors near those of the direct sum (Barabasz et al. 2018,
arXiv:1803.10986).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Tiles = tuple[tuple[Array, ...], ...]


class Transform(NamedTuple):
    """Matrices of one axis: from `outputs + 2` values, or 3 of a kernel, to points, to outputs."""

    values: np.ndarray
    kernel: np.ndarray
    outputs: np.ndarray

    @classmethod
    def at(cls, *points: float) -> "Transform":
        """Interpolates at points and at infinity, which make one output fewer than points."""
        others = [[p for p in points if p != point] for point in points]
        scales = [
            np.prod([point - p for p in rest]) for point, rest in zip(points, others, strict=True)
        ]
        powers = np.vander(points, increasing=True)
        infinity = np.eye(len(points) - 1)[:, -1:]
        return cls(
            np.array([[*np.poly(rest)[::-1], 0] for rest in others] + [np.poly(points)[::-1]]),
            np.concatenate([powers[:, :3] / np.array(scales)[:, None], np.eye(3)[2:]]),
            np.concatenate([powers[:, :-1].T, infinity], axis=1),
        )


DOWN = Transform.at(0.0, 0.75, -0.75, 1.5, -1.5)
ACROSS = Transform.at(0.0, 1.0, -1.0)


def transformed(kernel: Float[Array, "3 3 i o"]) -> Tiles:
    """Returns the kernel's values [i, o] at the points of both axes."""
    of = jnp.einsum(
        "ak,bl,klio->abio",
        DOWN.kernel.astype(np.float32),
        ACROSS.kernel.astype(np.float32),
        kernel,
        precision=lax.Precision.HIGHEST,
    )
    return tuple(tuple(row) for row in of)


def _combined(factors: np.ndarray, parts: Sequence[Array]) -> Array:
    """Returns the sum of parts times factors, those of 0 left out."""
    terms = [
        part if factor == 1 else np.float32(factor) * part
        for factor, part in zip(factors, parts, strict=True)
        if factor
    ]
    return sum(terms[1:], terms[0])


def convolve(x: Float[Array, "n h w i"], kernel: Tiles, padding: int) -> Float[Array, "n h2 w2 o"]:
    """Correlates with a 3x3 kernel that has been transformed; `padding` zeros are added around."""
    n, height, width, channels = x.shape
    tall, wide = height + 2 * padding - 2, width + 2 * padding - 2
    rows, columns = len(DOWN.outputs), len(ACROSS.outputs)  # of a tile
    down, across = -(-tall // rows), -(-wide // columns)
    ends = [(padding, padding + down * rows - tall), (padding, padding + across * columns - wide)]
    x = jnp.pad(x, ((0, 0), *ends, (0, 0)))
    starts = range(len(DOWN.values))
    lines = [x[:, i : i + rows * (down - 1) + 1 : rows] for i in starts]
    sums = []  # [point down][output across]
    for factors, kernels in zip(DOWN.values, kernel, strict=True):
        line = _combined(factors, lines)
        places = [
            line[:, :, j : j + columns * (across - 1) + 1 : columns]
            for j in range(len(ACROSS.values))
        ]
        products = [
            _times(_combined(by, places).reshape(-1, channels), k)
            for by, k in zip(ACROSS.values, kernels, strict=True)
        ]
        sums.append([_combined(by, products) for by in ACROSS.outputs])
    images = [
        [_combined(by, column).reshape(n, down, across, -1) for column in zip(*sums, strict=True)]
        for by in DOWN.outputs
    ]
    y = jnp.stack([jnp.stack(row, axis=3) for row in images], axis=2)
    return y.reshape(n, rows * down, columns * across, -1)[:, :tall, :wide]


def _times(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)

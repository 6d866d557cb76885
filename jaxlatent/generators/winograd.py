"""3x3 convolutions with a third of the products: Lavin and Gray 2015, arXiv:1509.09308.

A tile of 4 x 2 pixels comes from 6 x 4 products instead of 72.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.generators.layers import PRECISION
from jaxlatent.generators.tiles import ACROSS, DOWN, Grid, combined, tiles

_SMALLEST = 128  # pixels of all images, from which on it gains on CPUs


class Winograd(NamedTuple):
    """A 3x3 kernel as Winograd's filtering multiplies by it.

    Attributes:
        values: [i, o] at each point of the rows, and there of the columns.
    """

    values: tuple[tuple[Array, ...], ...]

    @classmethod
    def of(cls, kernel: Float[Array, "3 3 i o"]) -> "Winograd":
        """Transforms a kernel."""
        down, across = DOWN.kernel.astype(np.float32), ACROSS.kernel.astype(np.float32)
        values = jnp.einsum("ak,bl,klio->abio", down, across, kernel, precision=PRECISION)
        return cls(tuple(tuple(row) for row in values))

    @staticmethod
    def gains(x: Float[Array, "n h w i"]) -> bool:
        """Whether convolving `x` is faster so: it is in float32 and has many pixels."""
        return x.dtype == jnp.float32 and x.shape[0] * x.shape[1] * x.shape[2] >= _SMALLEST

    def convolve(self, x: Float[Array, "n h w i"], padding: int) -> Float[Array, "n h2 w2 o"]:
        """Correlates; `padding` zeros are added around."""
        n, height, width, channels = x.shape
        grid = Grid(height, width, padding)
        down, across = grid.counts
        flat = iter(tile.reshape(-1, channels) for tile in tiles(x, grid))
        sums = []  # [point down][output across]
        for row in self.values:
            products = [jnp.matmul(next(flat), k, precision=PRECISION) for k in row]
            sums.append([combined(by, products) for by in ACROSS.outputs])
        places = [list(column) for column in zip(*sums, strict=True)]
        images = [
            [combined(by, p).reshape(n, down, across, -1) for p in places] for by in DOWN.outputs
        ]
        y = jnp.stack([jnp.stack(row, axis=3) for row in images], axis=2)
        y = y.reshape(n, down * len(DOWN.outputs), across * len(ACROSS.outputs), -1)
        return y[:, : height + 2 * padding - 2, : width + 2 * padding - 2]

"""3x3 convolutions with fewer products: Lavin and Gray 2015, arXiv:1509.09308.

In two dimensions a tile of 4 x 2 pixels comes from 6 x 4 products instead of 72; in one, four rows
come from six convolutions by 1x3 kernels instead of twelve, which moves less memory.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.generators.correlation import correlate, pixels
from jaxlatent.generators.layers import PRECISION
from jaxlatent.generators.tiles import ACROSS, DOWN, Grid, combined, tiles

_FEWEST = 64  # channels of a layer from which on CPUs gain by it,
_MANY = 256  # and from which on in two dimensions, as products then take longer than memory
_SMALLEST = 128  # pixels, of all images together, from which on they gain


class Winograd(NamedTuple):
    """A 3x3 kernel as Winograd's filtering multiplies by it.

    Attributes:
        values: for each point of the rows, [i, o] at each point of the columns, or [1, 3, i, o].
    """

    values: tuple[tuple[Array, ...], ...]

    @classmethod
    def of(cls, kernel: Float[Array, "3 3 i o"], both: bool | None = None) -> "Winograd":
        """Transforms a kernel in two dimensions, or one; `None` for what is faster."""
        both = min(kernel.shape[2:]) >= _MANY if both is None else both
        down = DOWN.kernel.astype(np.float32)
        lines = jnp.einsum("ak,klio->alio", down, kernel, precision=PRECISION)
        if not both:
            return cls(tuple((line[None],) for line in lines))
        across = ACROSS.kernel.astype(np.float32)
        values = jnp.einsum("bl,alio->abio", across, lines, precision=PRECISION)
        return cls(tuple(tuple(row) for row in values))

    @staticmethod
    def fits(kernel: Float[Array, "kh kw i o"]) -> bool:
        """Whether convolutions by the kernel gain."""
        return kernel.shape[:2] == (3, 3) and min(kernel.shape[2:]) >= _FEWEST

    @staticmethod
    def gains(x: Float[Array, "n h w i"]) -> bool:
        """Whether convolving `x` is faster so: it is in float32 and has many pixels."""
        return x.dtype == jnp.float32 and pixels(x) >= _SMALLEST

    def convolve(self, x: Float[Array, "n h w i"], padding: int) -> Float[Array, "n h2 w2 o"]:
        """Correlates; `padding` zeros are added around."""
        n, height, width, channels = x.shape
        grid = Grid(height, width, padding, both=len(self.values[0]) > 1)
        down, across = grid.counts
        outputs = self.values[0][0].shape[-1]
        found = iter(tiles(x, grid))
        sums = []  # [point down][output across]
        for row in self.values:
            if grid.both:
                pairs = [(next(found).reshape(-1, channels), kernel) for kernel in row]
                parts = [jnp.matmul(*pair, precision=PRECISION) for pair in pairs]
            else:
                # One column too many: with as much padding left as right, XLA (jax 0.10) gives the
                # convolution to an operator that runs 64 channels on one thread.
                parts = [correlate(next(found), row[0], ((0, 0), (padding, padding + 1)))]
            sums.append([combined(by, parts) for by in grid.across.outputs])
        places = [list(column) for column in zip(*sums, strict=True)]
        across = across if grid.both else width + 2 * padding - 1
        images = [
            [combined(by, place).reshape(n, down, across, outputs) for place in places]
            for by in DOWN.outputs
        ]
        y = jnp.stack([jnp.stack(row, axis=3) for row in images], axis=2)
        y = y.reshape(n, down * len(DOWN.outputs), across * len(places), outputs)
        return y[:, : height + 2 * padding - 2, : width + 2 * padding - 2]

"""What BigGANs are built of: norms steered by class and latent code, residual blocks."""

import math
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import repeat_pixels
from jaxlatent.generators.layers import dense
from jaxlatent.generators.up_convolutions import doubled_conv
from jaxlatent.model import Buffer

Rows = tuple[tuple[int, float], ...]


def statistics_rows(truncation: float, num_stats: int) -> Rows:
    """Returns which rows of a table of batch statistics a truncation reads, with their weights.

    The table's rows belong to the truncations 0, 1 / (num_stats - 1), ..., 1. Between two of them
    the published BigGANs give to each row the weight that is the other's; their images depend on
    it, and on the rounding of float64 by which 0.14 lies just above row 7 of 51 and reads row 8.

    Args:
        truncation: in (0, 1].
        num_stats: number of rows.

    Example:
        >>> statistics_rows(0.5, 51), statistics_rows(0.25, 2)
        (((25, 1.0),), ((0, 0.25), (1, 0.75)))
    """
    if num_stats == 1:
        return ((0, 1.0),)
    fraction, whole = math.modf(truncation / (1.0 / (num_stats - 1)))
    row = int(whole)
    if not fraction or row >= num_stats - 1:  # rounding may lead beyond the last row
        return ((min(row, num_stats - 1), 1.0),)
    return ((row, fraction), (row + 1, 1 - fraction))


class Table(NamedTuple):
    """How the statistics of a generator's norms are stored and read.

    Attributes:
        length: number of rows.
        rows: those that are read, with their weights.
        epsilon: added to the variances.
    """

    length: int
    rows: Rows
    epsilon: float


class Statistics(nnx.Module):
    """Batch normalisation with stored statistics, without scale and bias.

    Attributes:
        mean: a row for each truncation that has statistics of its own, or one row.
        variance: likewise.
    """

    def __init__(self, channels: int, table: Table) -> None:
        self.mean = Buffer(jnp.zeros((table.length, channels)))
        self.variance = Buffer(jnp.ones((table.length, channels)))
        self.rows = table.rows
        self.epsilon = table.epsilon

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Normalises with the statistics of the generator's truncation."""
        mean, variance = self._read(self.mean[...]), self._read(self.variance[...])
        scale = lax.rsqrt(variance + self.epsilon)
        mean, scale = (v.astype(x.dtype)[None, None, None] for v in (mean, scale))
        return (x - mean) * scale

    def _read(self, table: Float[Array, "s c"]) -> Float[Array, " c"]:
        parts = [table[row] * weight for row, weight in self.rows]
        return sum(parts[1:], parts[0])


class Norm(nnx.Module):
    """Batch normalisation with one scale and bias for all samples."""

    def __init__(self, channels: int, table: Table) -> None:
        self.statistics = Statistics(channels, table)
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Normalises, scales, shifts."""
        scale, bias = (v[...].astype(x.dtype)[None, None, None] for v in (self.scale, self.bias))
        return self.statistics(x) * scale + bias


class ConditionalNorm(nnx.Module):
    """Batch normalisation whose scale and bias are linear in each sample's condition.

    Attributes:
        gain: added to a scale of 1, [condition, c].
        bias: [condition, c].
    """

    def __init__(self, condition: int, channels: int, table: Table, *, rngs: nnx.Rngs) -> None:
        self.statistics = Statistics(channels, table)
        shape = (condition, channels)
        self.gain = nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))

    def __call__(
        self, x: Float[Array, "n h w c"], condition: Float[Array, "n k"]
    ) -> Float[Array, "n h w c"]:
        """Normalises, scales, shifts."""
        gain = 1 + dense(condition, self.gain[...])
        bias = dense(condition, self.bias[...])
        return self.statistics(x) * gain[:, None, None] + bias[:, None, None]


class Dense(nnx.Module):
    """Matrix and bias."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> None:
        self.weight = nnx.Param(0.02 * jax.random.normal(rngs.params(), (inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """Applies the layer."""
        return dense(x, self.weight[...], self.bias[...])


class Conv(nnx.Module):
    """Convolution, and bias; `up` repeats pixels before to double the resolution."""

    def __init__(
        self, side: int, inputs: int, outputs: int, *, rngs: nnx.Rngs, up: bool = False
    ) -> None:
        shape = (side, side, inputs, outputs)
        self.kernel = nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.up = up

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer."""
        kernel, margin = self.kernel[...], self.kernel.shape[0] // 2
        y = doubled_conv(x, kernel) if self.up else conv(x, kernel, (margin, margin))
        return y + self.bias[...].astype(x.dtype)[None, None, None]


class Block(nnx.Module):
    """Residual block: each convolution after a norm and a ReLU.

    BigGAN's has two 3x3 convolutions, and a 1x1 convolution on its shortcut. BigGAN-deep's goes
    through a quarter of the channels, 1x1, 3x3, 3x3, 1x1, and its shortcut keeps the first
    channels. Where the resolution doubles, it does so before the first 3x3 convolution.

    Attributes:
        norms: one before each convolution.
        convs: the convolutions.
        shortcut: a 1x1 convolution, or `None` in BigGAN-deep.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition: int,
        table: Table,
        *,
        deep: bool,
        upsample: bool,
        rngs: nnx.Rngs,
    ) -> None:
        quarter = inputs // 4
        widths = (
            (inputs, quarter, quarter, quarter, outputs) if deep else (inputs, outputs, outputs)
        )
        sides = (1, 3, 3, 1) if deep else (3, 3)
        self.norms = nnx.List(
            [ConditionalNorm(condition, width, table, rngs=rngs) for width in widths[:-1]]
        )
        self.convs = nnx.List(
            [
                Conv(side, i, o, rngs=rngs, up=upsample and index == sides.index(3))
                for index, (side, (i, o)) in enumerate(zip(sides, pairwise(widths), strict=True))
            ]
        )
        self.shortcut = None if deep else Conv(1, inputs, outputs, rngs=rngs)
        self.upsample = upsample

    def __call__(
        self, x: Float[Array, "n h w i"], condition: Float[Array, "n k"]
    ) -> Float[Array, "n h2 w2 o"]:
        """Applies the block."""
        outputs = self.convs[-1].kernel.shape[-1]
        shortcut = x[..., :outputs] if self.shortcut is None else self.shortcut(x)
        for norm, layer in zip(self.norms, self.convs, strict=True):
            x = layer(jax.nn.relu(norm(x, condition)))
        return x + (repeat_pixels(shortcut) if self.upsample else shortcut)

    def reader(self, width: int) -> Float[Array, "_ width"]:
        """Returns the matrix by which all norms read the condition's first `width` numbers."""
        matrices = [m[:width] for norm in self.norms for m in (norm.gain, norm.bias)]
        return jnp.concatenate(matrices, axis=1).T

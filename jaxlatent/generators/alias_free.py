"""Activations that do not alias: up-sample, activate, down-sample (arXiv:2106.12423)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import MAX_SIDE
from jaxlatent.generators.layers import PRECISION, bias_act

MAX_TAPS = 128  # published filters have 12 or 24
MAX_FACTOR = 16  # published ones are 1, 2 and 4

_WHOLE = 128  # pixels; a longer axis is filtered in blocks, a shorter one by one matrix
_BLOCK = 16  # steps of a block: long enough for a matrix product, short enough to waste little


@dataclass(frozen=True)
class Filter:
    """A 2-D filter as a sum of separable ones: the sum over i of outer(rows[i], columns[i]).

    A separable filter has one term; a radial one of 12 x 12 taps has at most 6, since it is
    symmetric.

    Attributes:
        rows: each term's taps along an image's columns, from top to bottom.
        columns: each term's taps along an image's rows, from left to right.

    Example:
        >>> Filter.separable((0.5, 0.5)).taps
        2
    """

    rows: tuple[tuple[float, ...], ...] = ((1.0,),)
    columns: tuple[tuple[float, ...], ...] = ((1.0,),)

    def __post_init__(self) -> None:
        lengths = {len(taps) for taps in (*self.rows, *self.columns)}
        if len(self.rows) != len(self.columns) or len(lengths) != 1:
            raise UserError("a filter needs as many rows as columns, all of one length")
        if not (1 <= self.taps <= MAX_TAPS and len(self.rows) <= self.taps):
            raise UserError(
                f"a filter has 1 to {MAX_TAPS} taps, got {len(self.rows)} terms of {self.taps}"
            )
        if not all(math.isfinite(t) for taps in (*self.rows, *self.columns) for t in taps):
            raise UserError("the taps of a filter must be finite")

    @classmethod
    def separable(cls, taps: Sequence[float]) -> "Filter":
        """Returns the filter that applies `taps` to both axes."""
        return cls((tuple(taps),), (tuple(taps),))

    @property
    def taps(self) -> int:
        """Number of taps along an axis."""
        return len(self.rows[0])


@dataclass(frozen=True)
class Resampling:
    """How an activation is up-sampled before and down-sampled after.

    Attributes:
        up: factor of up-sampling.
        down: factor of down-sampling.
        padding: zeros before and after each axis of the up-sampled input; negative ones crop.
        up_filter: for up-sampling; its taps sum to 1.
        down_filter: for down-sampling; its taps sum to 1.

    Example:
        >>> Resampling(2, 2, (9, 8), *[Filter.separable((1 / 12,) * 12)] * 2).output_size(38)
        36
    """

    up: int = 1
    down: int = 1
    padding: tuple[int, int] = (0, 0)
    up_filter: Filter = field(default_factory=Filter)
    down_filter: Filter = field(default_factory=Filter)

    def __post_init__(self) -> None:
        if not 1 <= min(self.up, self.down) <= max(self.up, self.down) <= MAX_FACTOR:
            raise UserError(
                f"factors of resampling must be in 1 to {MAX_FACTOR}, got {self.up}, {self.down}"
            )
        if len(self.padding) != 2 or max(map(abs, self.padding)) > MAX_SIDE:
            raise UserError(f"padding must be two numbers of pixels, got {self.padding}")

    @classmethod
    def between(
        cls, before: int, after: int, up: int, down: int, up_filter: Filter, down_filter: Filter
    ) -> "Resampling":
        """Returns the resampling from side `before` to side `after`, both around one centre.

        Example:
            >>> box = Filter.separable((1 / 12,) * 12)
            >>> Resampling.between(38, 36, 2, 2, box, box).padding
            (9, 8)
        """
        missing = (after - 1) * down + 1 - before * up + up_filter.taps + down_filter.taps - 2
        low = (missing + up) // 2
        return cls(up, down, (low, missing - low), up_filter, down_filter)

    def output_size(self, size: int) -> int:
        """Returns the side of the output for an input of side `size`."""
        wide = _length(size, self.up_filter.taps, self.up, 1, self.padding)
        return _length(wide, self.down_filter.taps, 1, self.down, (0, 0))


def _length(size: int, taps: int, up: int, down: int, padding: tuple[int, int]) -> int:
    return (size * up + sum(padding) - taps) // down + 1


def filtered_act(
    x: Float[Array, "n h w c"],
    bias: Float[Array, " c"],
    activation: str,
    clamp: float | None,
    resampling: Resampling,
) -> Float[Array, "n h2 w2 c"]:
    """Adds the bias, up-samples, activates with the activation's gain, clamps, down-samples.

    Args:
        x: the input, whose surroundings are 0 after the bias is added.
        bias: one number for each channel.
        activation: a name in `layers.ACTIVATIONS`.
        clamp: bound of the activations, or `None`.
        resampling: the filters, factors and padding.
    """
    up, down = resampling.up_filter, resampling.down_filter
    if resampling == Resampling():
        return bias_act(x, bias, activation, clamp=clamp)
    x = x + bias.astype(x.dtype)[None, None, None]
    x = _resample(x, up.rows, up.columns, resampling.up, 1, resampling.padding)
    x = bias_act(x, None, activation, clamp=clamp)
    return _resample(x, down.columns, down.rows, 1, resampling.down, (0, 0))


def _resample(
    x: Float[Array, "n a b c"],
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    up: int,
    down: int,
    padding: tuple[int, int],
) -> Float[Array, "n b2 a2 c"]:
    """Filters both axes of an image and returns it transposed: twice makes it upright again.

    Inserts `up - 1` zeros after each pixel, pads, convolves with the sum over i of
    outer(first[i], second[i]), multiplies by up^2 and keeps every `down`-th pixel.
    """
    n, height, width, channels = x.shape
    taps = up * np.asarray(first, np.float64)[:, None]
    x = _filter_axis(x.reshape(n, height, 1, width * channels), taps, up, down, padding)
    height = x.shape[1]
    x = x.reshape(n, height, len(first), width, channels).transpose(0, 3, 2, 1, 4)
    taps = up * np.asarray(second, np.float64)[None]
    x = _filter_axis(x.reshape(n, width, len(first), height * channels), taps, up, down, padding)
    return x.reshape(n, x.shape[1], height, channels)


def _filter_axis(
    x: Float[Array, "n s i m"], taps: np.ndarray, up: int, down: int, padding: tuple[int, int]
) -> Float[Array, "n s2 o m"]:
    """Filters an axis: output o is the sum over i of input i convolved with `taps[o, i]`.

    A product with a banded matrix: on CPU several times faster than shifts and adds backward and
    to compile, about even forward (12 taps, 54 to 278 pixels); a convolution of single channels
    is slower than both.
    """
    n, size, terms, width = x.shape
    outputs, _, count = taps.shape
    length = _length(size, count, up, down, padding)
    if max(size, length) <= _WHOLE:
        block, start, windows = length, 0, x[:, None]
    else:
        block, step = _BLOCK * up, _BLOCK * down
        start = -(padding[0] // up)  # the first input under the first output's taps
        last = ((block - 1) * down + count - 1 - padding[0]) // up
        windows = _windows(x, start, step, last - start + 1, -(-length // block))
    blocks, window = windows.shape[1:3]
    places = np.arange(start, start + window) * up + padding[0]
    tap = count - 1 - (places[None] - np.arange(block)[:, None] * down)
    known = (tap >= 0) & (tap < count)
    matrix = np.where(known, taps[:, :, np.clip(tap, 0, count - 1)], 0)  # [o, i, block, window]
    matrix = matrix.transpose(2, 0, 3, 1).reshape(block * outputs, window * terms)
    # one matrix for each product, not one for all: without a transposition of the images
    y = jnp.matmul(
        jnp.broadcast_to(jnp.asarray(matrix, x.dtype), (n, blocks, *matrix.shape)),
        windows.reshape(n, blocks, window * terms, width),
        precision=PRECISION,
    )
    return y.reshape(n, blocks * block, outputs, width)[:, :length]


def _windows(
    x: Float[Array, "n s i m"], start: int, step: int, window: int, blocks: int
) -> Float[Array, "n b k i m"]:
    """Returns a window of at least `window` inputs for each block, zero outside of `x`.

    Block b's begins at `start + b * step`.
    """
    n, _, terms, width = x.shape
    parts = -(-window // step)
    end = start + (blocks + parts - 1) * step
    x = x[:, max(start, 0) : max(end, 0)]
    low = max(-start, 0)
    x = jnp.pad(x, ((0, 0), (low, end - start - low - x.shape[1]), (0, 0), (0, 0)))
    x = x.reshape(n, blocks + parts - 1, step, terms, width)
    return jnp.concatenate([x[:, i : i + blocks] for i in range(parts)], axis=2)

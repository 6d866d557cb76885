"""Convolutions that double the resolution of NHWC images."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.correlation import correlate
from jaxlatent.generators.filters import fir, repeat_pixels, shifted
from jaxlatent.generators.kernels import Kernel, parts_of, plain, rescaled
from jaxlatent.generators.layers import PRECISION, at_least_float32


class Phases(NamedTuple):
    """What a transposed convolution applies to even and odd rows, and there to columns.

    Attributes:
        even: kernels [2, 2, i, o] and [2, 1, i, o].
        odd: kernels [1, 2, i, o] and [1, 1, i, o].
    """

    even: tuple[Array, Array]
    odd: tuple[Array, Array]

    @classmethod
    def of(cls, kernel: Float[Array, "3 3 i o"]) -> "Phases":
        """Takes a kernel apart."""
        outer, inner = slice(0, 3, 2), slice(1, 2)
        return cls(*((kernel[rows, outer], kernel[rows, inner]) for rows in (outer, inner)))


class Sums(NamedTuple):
    """Sums over the places of a kernel that see one pixel, after pixels are repeated.

    Attributes:
        kernels: [9, i, o]: on each axis the first place, all of them, the last.
    """

    kernels: Array

    @classmethod
    def of(cls, kernel: Float[Array, "3 3 i o"]) -> "Sums":
        """Adds up a kernel."""
        for axis in (0, 1):
            first, _, last = jnp.split(kernel, 3, axis)
            kernel = jnp.concatenate([first, jnp.sum(kernel, axis, keepdims=True), last], axis)
        return cls(kernel.reshape(9, *kernel.shape[2:]))


def up_conv(
    x: Float[Array, "n h w i"], kernel: Kernel, taps: Sequence[float]
) -> Float[Array, "n h2 w2 o"]:
    """Doubles the resolution by a transposed convolution, then filters with `taps`.

    On CPUs the even and odd rows and columns between the two never are interleaved.

    Args:
        x: the input.
        kernel: [3, 3, i, o], of the equal correlation, that is, already flipped.
        taps: the filter, sum 1.
    """
    if jax.default_backend() == "cpu":
        parts = parts_of(kernel)
        phases = parts if isinstance(parts, Phases) else Phases.of(plain(kernel))
        return rescaled(_up_by_phases(x, phases, taps), kernel)
    y = conv(x, kernel, (2, 2), dilation=2)
    count = len(taps)
    return fir(y, [2 * t for t in taps], (count + 1) // 2 - 1, (count - 2) // 2)


def _up_by_phases(x: Array, phases: Phases, taps: Sequence[float]) -> Array:
    """Filters the rows and columns of each parity apart, which come from different taps.

    The convolutions compute what the filter needs beyond the edges: padding would slow it down.
    """
    ends = [(before + (parity == 0), after) for parity, (before, after) in enumerate(_reach(taps))]
    found = [
        [correlate(x, k, (down, across)) for k, across in zip(row, ends, strict=True)]
        for row, down in zip(phases, ends, strict=True)
    ]
    filtered = [_filtered(of, taps, 1, x.shape[1]) for of in zip(*found, strict=True)]
    pairs = [_filtered(of, taps, 2, x.shape[2]) for of in zip(*filtered, strict=True)]
    n, h, w, _ = x.shape
    wide = [jnp.stack(pair, axis=3) for pair in pairs]
    return jnp.stack(wide, axis=2).reshape(n, 2 * h, 2 * w, pairs[0][0].shape[-1])


def _places(taps: Sequence[float], phase: int) -> list[int]:
    """Returns the elements that are filtered to the first even, or odd, element."""
    return [phase + i + 1 - (len(taps) + 1) // 2 for i in range(len(taps))]


def _reach(taps: Sequence[float]) -> list[tuple[int, int]]:
    """Returns how many elements of a parity the filter needs before, and after, those there are."""
    places = [place for phase in (0, 1) for place in _places(taps, phase)]
    halves = [[place // 2 for place in places if place % 2 == parity] for parity in (0, 1)]
    return [(-min(half), max(half)) for half in halves]


def _filtered(phases: Sequence[Array], taps: Sequence[float], axis: int, size: int) -> list[Array]:
    """Returns even and odd elements of the filtered sequence, from those of the sequence."""
    reach, found = _reach(taps), []
    for phase in (0, 1):
        terms = []
        for tap, place in zip(reversed(taps), _places(taps, phase), strict=True):
            start = place // 2 + reach[place % 2][0]
            part = lax.slice_in_dim(phases[place % 2], start, start + size, axis=axis)
            terms.append(2 * tap * part)
        found.append(sum(terms[1:], terms[0]))
    return found


def doubled_conv(x: Float[Array, "n h w i"], kernel: Kernel) -> Float[Array, "n h2 w2 o"]:
    """Repeats pixels to double the resolution, then correlates with a 3x3 kernel, zero padded.

    On each axis the two outputs of pixel x between neighbours a and b are k0 a + (k1 + k2) x and
    (k0 + k1) x + k2 b, that is s + k0 (a - x) and s + k2 (b - x) with s = (k0 + k1 + k2) x: three
    products for two outputs, nine for four in two dimensions, where the convolution takes 36.
    CPUs compute it so.
    """
    if jax.default_backend() != "cpu":
        return conv(repeat_pixels(x), kernel, (1, 1))
    own = parts_of(kernel)
    ready = own if isinstance(own, Sums) else Sums.of(at_least_float32(plain(kernel)))
    sums = ready.kernels.astype(x.dtype)
    n, h, w = x.shape[:3]
    parts = x[None, None]
    for axis in (0, 1):  # [differences in height, in width, n, h, w, i]
        along = axis + 3
        before, after = (shifted(parts, along, by, x.shape[axis + 1]) for by in (-1, 1))
        parts = jnp.concatenate([before - parts, parts, after - parts], axis)
    y = jnp.matmul(parts.reshape(9, n * h * w, x.shape[3]), sums, precision=PRECISION)
    outputs = y.shape[-1]
    y = y.reshape(3, 3, n, h, w, outputs)
    y = y[:2] + y[1:]
    y = y[:, :2] + y[:, 1:]
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(n, 2 * h, 2 * w, outputs)
    return rescaled(y, kernel)

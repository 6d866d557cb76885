"""Overlapping tiles of images at the points of Winograd's filtering, and back: a primitive.

Both directions are linear, and each is the other's transpose. Left to JAX, the transpose of strided
slices pads with zeros within loops, which makes gradients up to 1.3 times as slow.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


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
NONE = Transform(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))


def combined(factors: np.ndarray, parts: Sequence[Array]) -> Array:
    """Returns the sum of parts times factors, those of 0 left out."""
    terms = [
        part if factor == 1 else np.float32(factor) * part
        for factor, part in zip(factors, parts, strict=True)
        if factor
    ]
    return sum(terms[1:], terms[0])


class Grid(NamedTuple):
    """How images are divided into tiles.

    Attributes:
        height: of an image.
        width: of an image.
        padding: zeros around it.
        both: whether columns are transformed too, or left as they are, without zeros.
    """

    height: int
    width: int
    padding: int
    both: bool

    @property
    def across(self) -> Transform:
        """Of the columns."""
        return ACROSS if self.both else NONE

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles down and across: those that cover the outputs of a 3x3 kernel."""
        down = -(-(self.height + 2 * self.padding - 2) // len(DOWN.outputs))
        across = -(-(self.width + 2 * self.padding - 2) // len(ACROSS.outputs))
        return down, across if self.both else self.width


def tiles(x: Float[Array, "n h w c"], grid: Grid) -> list[Float[Array, "n d a c"]]:
    """Returns the tiles' values at each point, those of a point down next to each other."""
    return _tiles_p.bind(x, grid=grid)


def _tiles(x: Array, grid: Grid) -> list[Array]:
    (down, across), low = grid.counts, grid.padding
    rows, columns, window = len(DOWN.outputs), len(grid.across.outputs), len(grid.across.values)
    below, right = rows * down + 2 - low - grid.height, columns * across + 2 - low - grid.width
    x = jnp.pad(x, ((0, 0), (low, below), (low, right) if grid.both else (0, 0), (0, 0)))
    lines = [x[:, i : i + rows * (down - 1) + 1 : rows] for i in range(rows + 2)]
    found = []
    for factors in DOWN.values:
        line = combined(factors, lines)
        last = columns * (across - 1) + 1
        places = [line[:, :, j : j + last : columns] for j in range(window)]
        found += [combined(by, places) for by in grid.across.values]
    return found


def _images(*values: Array, grid: Grid) -> list[Array]:
    """Transposes `_tiles`: adds up what each pixel gave to the tiles that overlap there."""
    (down, across), low, more = grid.counts, grid.padding, int(grid.both)
    rows, columns, window = len(DOWN.outputs), len(grid.across.outputs), len(grid.across.values)
    padded = [jnp.pad(value, ((0, 0), (1, 1), (more, more), (0, 0))) for value in values]
    lines = [padded[i : i + window] for i in range(0, len(padded), window)]
    places = [[combined(by, line) for line in lines] for by in grid.across.values.T]
    pixels = [[combined(by, place) for place in places] for by in DOWN.values.T]

    def at(i: int, j: int) -> Array:
        """Returns the pixels at a place of their own tile, with what the tiles before add."""
        terms = [
            pixels[i + rows * up][j + columns * left][
                :, 1 - up : 2 - up + down, more - left : 2 * more - left + across
            ]
            for up in (0, 1)
            for left in (0, 1)
            if i + rows * up < rows + 2 and j + columns * left < window
        ]
        return sum(terms[1:], terms[0])

    pairs = [jnp.stack([at(i, j) for j in range(columns)], axis=3) for i in range(rows)]
    x = jnp.stack(pairs, axis=2)
    x = x.reshape(x.shape[0], rows * (down + 1), columns * (across + more), -1)
    left = low if grid.both else 0
    return [x[:, low : low + grid.height, left : left + grid.width]]


def _linear(name: str, function: Any, transpose: Any) -> Primitive:
    """Registers a linear function of arrays [n, ...] that treats each of the n by itself."""
    primitive = Primitive(name)
    primitive.multiple_results = True

    def abstract(*values: Any, grid: Grid) -> list[Any]:
        shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in values]
        found = jax.eval_shape(partial(function, grid=grid), *shapes)
        return [jax.core.ShapedArray(f.shape, f.dtype) for f in found]

    def transposed(cotangents: Sequence[Any], *_: Any, grid: Grid) -> list[Any]:
        return transpose()(*map(ad.instantiate_zeros, cotangents), grid=grid)

    def batched(values: Sequence[Array], axes: Sequence[Any], *, grid: Grid) -> Any:
        size = next(v.shape[a] for v, a in zip(values, axes, strict=True) if a is not None)
        moved = [batching.bdim_at_front(v, a, size) for v, a in zip(values, axes, strict=True)]
        found = primitive.bind(*(v.reshape(-1, *v.shape[2:]) for v in moved), grid=grid)
        return [f.reshape(size, -1, *f.shape[1:]) for f in found], [0] * len(found)

    primitive.def_impl(jax.jit(function, static_argnames="grid"))
    primitive.def_abstract_eval(abstract)
    ad.deflinear2(primitive, transposed)
    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=True))
    return primitive


_tiles_p: Primitive = _linear("tiles", _tiles, lambda: _images_p.bind)
_images_p: Primitive = _linear("images_of_tiles", _images, lambda: _tiles_p.bind)

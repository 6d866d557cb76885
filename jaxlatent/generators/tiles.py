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
    """

    height: int
    width: int
    padding: int

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles down and across: those that cover the outputs of a 3x3 kernel."""
        sizes = (self.height + 2 * self.padding - 2, self.width + 2 * self.padding - 2)
        return -(-sizes[0] // len(DOWN.outputs)), -(-sizes[1] // len(ACROSS.outputs))


def tiles(x: Float[Array, "n h w c"], grid: Grid) -> list[Float[Array, "n d a c"]]:
    """Returns the tiles' values at each point, those of a point down next to each other."""
    return _tiles_p.bind(x, grid=grid)


def _tiles(x: Array, grid: Grid) -> list[Array]:
    (down, across), rows, columns = grid.counts, len(DOWN.outputs), len(ACROSS.outputs)
    low = grid.padding
    ends = (rows * down + 2 - low - grid.height, columns * across + 2 - low - grid.width)
    x = jnp.pad(x, ((0, 0), (low, ends[0]), (low, ends[1]), (0, 0)))
    lines = [x[:, i : i + rows * (down - 1) + 1 : rows] for i in range(rows + 2)]
    found = []
    for factors in DOWN.values:
        line = combined(factors, lines)
        last = columns * (across - 1) + 1
        places = [line[:, :, j : j + last : columns] for j in range(columns + 2)]
        found += [combined(by, places) for by in ACROSS.values]
    return found


def _images(*values: Array, grid: Grid) -> list[Array]:
    """Transposes `_tiles`: adds up what each pixel gave to the tiles that overlap there."""
    (down, across), rows, columns = grid.counts, len(DOWN.outputs), len(ACROSS.outputs)
    padded = [jnp.pad(value, ((0, 0), (1, 1), (1, 1), (0, 0))) for value in values]
    count = len(ACROSS.values)
    lines = [padded[i : i + count] for i in range(0, len(padded), count)]
    places = [[combined(by, line) for line in lines] for by in ACROSS.values.T]
    pixels = [[combined(by, place) for place in places] for by in DOWN.values.T]

    def at(i: int, j: int) -> Array:
        """Returns the pixels at a place of their own tile, with what the tiles before add."""
        terms = [
            pixels[i + rows * up][j + columns * left][
                :, 1 - up : 2 - up + down, 1 - left : 2 - left + across
            ]
            for up in (0, 1)
            for left in (0, 1)
            if i + rows * up < len(pixels) and j + columns * left < count
        ]
        return sum(terms[1:], terms[0])

    x = jnp.stack(
        [jnp.stack([at(i, j) for j in range(columns)], axis=3) for i in range(rows)], axis=2
    )
    x = x.reshape(x.shape[0], rows * (down + 1), columns * (across + 1), -1)
    low = grid.padding
    return [x[:, low : low + grid.height, low : low + grid.width]]


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

"""How moves of a code change a region of the image and the rest, to first order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples, argument
from jaxlatent.find.vectors import SIGN_ANCHOR, anchor_sign
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.layers import PRECISION
from jaxlatent.memory import check_host_memory

Span = tuple[int, int]
Region = tuple[Span, Span] | Bool[Any, "h w"]


@dataclass(frozen=True, eq=False)
class Grams:
    r"""Averages over codes of $J^\top J / p$, of a region of `p` pixel values and of the rest.

    Attributes:
        region: [D, D], of the region, or of the whole image.
        rest: [D, D], of all other pixels; `None` without a region.
        rows: rows of a direction; D is that many times the width of a code.
    """

    region: Float[np.ndarray, "D D"]
    rest: Float[np.ndarray, "D D"] | None
    rows: int


def jacobian_grams(
    generator: Generator,
    codes: Float[Any, "n L d"],
    region: Region | None = None,
    *,
    view: Any = None,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    chunk: int = 16,
) -> Grams:
    r"""Measures how moves of a code change a region of the image and the rest, to first order.

    Computes each code's Jacobian by forward differentiation along `chunk` axes at a time. Memory:
    the activations of `chunk` images, and D times the numbers of an image for the Jacobian.

    Args:
        generator: the generator.
        codes: where to differentiate, a row for each layer; the matrices are averaged over them.
        region: a box ((top, bottom), (left, right)) in pixels, ends exclusive, or a mask [h, w].
        view: function of images to images, such as a smaller size or features; a region is then
            one of its result. `None` for the images themselves.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector (D = d), or each has a row of its own.
        label: classes, if the synthesis reads them.
        chunk: axes in one step; results do not depend on it.

    Raises:
        UserError: if codes, layers, region or chunk do not fit.
    """
    samples = Samples.of(generator, codes, label, layers)
    shown = argument(_same if view is None else view)
    shape = jax.eval_shape(lambda s, f: _image(s, f, jnp.int32(0), _zero(s, 1)), samples, shown)
    if not isinstance(shape, jax.ShapeDtypeStruct) or not shape.ndim:
        raise UserError(f"a view must return an array of numbers for each image, got {shape}")
    mask = None if region is None else region_mask(region, shape.shape)
    if chunk < 1:
        raise UserError(f"chunk must be at least 1, got {chunk}")
    m = samples.rows(shared)
    n, size = samples.codes.shape[0], m * samples.codes.shape[2]
    check_host_memory(f"Jacobians by {size} axes", 4 * size * shape.size)
    parts = [jnp.ones(shape.size) / shape.size]
    if mask is not None:
        inside = jnp.broadcast_to(jnp.asarray(mask)[:, :, None], shape.shape).ravel()
        parts = [part / jnp.sum(part) for part in (inside, ~inside)]
    weights = jnp.stack(parts)
    sums = np.zeros((len(parts), size, size))
    for i in range(n):
        columns = [
            _columns(samples, shown, jnp.int32(i), jnp.arange(start, start + chunk), m)
            for start in range(0, size, chunk)
        ]
        sums += np.asarray(_gram(columns, weights)[:, :size, :size], np.float64)
    sums = (sums + np.swapaxes(sums, 1, 2)) / (2 * n)
    return Grams(sums[0], None if mask is None else sums[1], m)


def _same(images: Array) -> Array:
    return images


def region_mask(region: Region, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Returns a box or mask as a mask of images of this shape.

    Raises:
        UserError: if it does not fit into the image, is empty, or leaves no rest.

    Example:
        >>> region_mask(((0, 1), (1, 3)), (2, 3, 1)).astype(int).tolist()
        [[0, 1, 1], [0, 0, 0]]
    """
    if len(shape) != 3:
        raise UserError(f"a region needs images [h, w, c], the view returns {list(shape)}")
    height, width = shape[:2]
    if isinstance(region, tuple):
        fits = [len(span) == 2 for span in region] == [True, True]
        sides = (height, width)
        if not fits or not all(0 <= a < b <= s for (a, b), s in zip(region, sides, strict=True)):
            raise UserError(
                f"a box is ((top, bottom), (left, right)) in an image of {height} by {width} "
                f"pixels, got {region}"
            )
        mask = np.zeros((height, width), bool)
        mask[slice(*region[0]), slice(*region[1])] = True
    else:
        mask = np.asarray(region)
        if mask.shape != (height, width) or mask.dtype != bool:
            raise UserError(
                f"a mask must be booleans [{height}, {width}], got {mask.dtype} {list(mask.shape)}"
            )
    if not mask.any() or mask.all():
        raise UserError("a region must hold some of the pixels, and not all of them")
    return mask


def _zero(samples: Samples, m: int) -> Float[Array, "m d"]:
    return jnp.zeros((m, samples.codes.shape[2]), samples.codes.dtype)


def _image(samples: Samples, view: Any, index: Int[Array, ""], vector: Array) -> Array:
    """Returns what is seen of one code, moved by a vector."""
    codes, label = samples.at(index[None])
    return view(samples.render(codes + samples.place(vector[None]), label))[0]


@partial(jax.jit, static_argnames="m")
def _columns(
    samples: Samples, view: Any, index: Int[Array, ""], axes: Int[Array, " c"], m: int
) -> Float[Array, "c p"]:
    """Returns the changes of one image along some axes; those beyond the last give zeros."""
    zero = _zero(samples, m)
    tangents = jax.nn.one_hot(axes, zero.size, dtype=zero.dtype).reshape(-1, *zero.shape)
    along = jax.vmap(lambda t: jax.jvp(lambda v: _image(samples, view, index, v), (zero,), (t,))[1])
    return along(tangents).reshape(tangents.shape[0], -1)


@jax.jit
def _gram(
    columns: list[Float[Array, "c p"]], weights: Float[Array, "r p"]
) -> Float[Array, "r D D"]:
    rows = jnp.concatenate(columns).astype(weights.dtype)
    return jax.vmap(lambda w: jnp.matmul(rows * w[None], rows.T, precision=PRECISION))(weights)


def move_size(generator: Generator, layers: Sequence[int] | None, shared: bool) -> int:
    """Returns how many numbers a move has, over all rows that move by themselves."""
    rows = 1 if shared else len(generator.select_layers(layers))
    return rows * generator.code_dim


def found_by(
    method: str,
    samples: tuple[Generator, Sequence[int] | None, int],
    vectors: Float[np.ndarray, "k D"],
    scores: Float[np.ndarray, " k"],
    parameters: dict[str, Any],
) -> Directions:
    """Returns vectors over all rows of a move as unit directions."""
    generator, layers, rows = samples
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    signed = anchor_sign(jnp.asarray(units, jnp.float32))
    return Directions.of(
        signed.reshape(len(vectors), rows, -1),
        jnp.asarray(scores, jnp.float32),
        method=method,
        sign_anchor=SIGN_ANCHOR,
        parameters=parameters,
    ).bind(generator, layers)

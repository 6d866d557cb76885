"""Edits are data: which directions, how far, on which layers, relative or absolute, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.generators.layers import PRECISION

Mode = Literal["relative", "absolute"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moves:
    """Edits compiled to arrays: `e` moves of a code of `L` rows (for each of `b` codes, if mapped).

    Attributes:
        vectors: scaled by nothing, zero on the layers that stay.
        offset: coordinate, along each row, from which positions are measured.
        scale: length of one unit.
        absolute: 1 to set a position, 0 to move by an amount.
        shared: 1 if every layer has a position of its own, 0 if the code has one over all.
    """

    vectors: Float[Array, "*b e L d"]
    offset: Float[Array, "*b e L"]
    scale: Float[Array, "*b e"]
    absolute: Float[Array, "*b e"]
    shared: Float[Array, "*b e"]


def moves(
    generator: Generator,
    directions: Directions,
    layers: Sequence[int] | None = None,
    mode: Mode = "relative",
) -> Moves:
    """Compiles one move along each direction.

    Args:
        generator: whose codes will be moved; the directions are checked against it.
        directions: the directions.
        layers: the layers that move; `None` for those that the directions were found for.
        mode: "relative" moves a code by an amount; "absolute" moves it to a position, so that a
            code already there stays. Both count in the directions' units.

    Raises:
        UserError: if the directions do not fit the generator, or a layer is out of range.
    """
    if mode not in ("relative", "absolute"):
        raise UserError(f"mode must be relative or absolute, got {mode!r}")
    directions.check(generator)
    rows = 1 if directions.space == "z" else generator.num_layers
    if layers is not None and directions.space == "z" and rows < generator.num_layers:
        raise UserError("directions in z act before the layers are told apart; give no layers")
    chosen = generator.select_layers(layers or directions.layers or range(rows))
    mask = jnp.zeros(rows).at[jnp.array(chosen)].set(1)
    k, m, d = directions.vectors.shape
    vectors = jnp.broadcast_to(directions.vectors, (k, rows, d)) * mask[None, :, None]
    mean = jnp.broadcast_to(directions.mean, (rows, d))
    offset = jnp.einsum("ld,eld->el", mean, vectors, precision=PRECISION)
    share = jnp.asarray(directions.intercept)[:, None] * mask[None] / (1 if m == 1 else len(chosen))
    return Moves(
        vectors=vectors,
        offset=offset - share,
        scale=jnp.asarray(directions.scale),
        absolute=jnp.full(k, float(mode == "absolute")),
        shared=jnp.full(k, float(m == 1)),
    )


def move(
    codes: Float[Array, "n L d"], steps: Moves, amounts: Float[Array, "n e"]
) -> Float[Array, "n L d"]:
    """Moves each code by `amounts`, all moves at once.

    An absolute move is measured on the codes as they come. A direction that is the same for all
    layers has a position in each of them; one with a row for each layer has one over all.

    Args:
        codes: latent codes.
        steps: `e` moves.
        amounts: how far, or where to, in the directions' units.

    Example:
        >>> import jaxlatent
        >>> directions = Directions.of(jnp.array([[[1.0, 0.0]]]))
        >>> steps = Moves(directions.vectors, jnp.zeros((1, 1)), *jnp.ones((3, 1)))
        >>> move(jnp.array([[[5.0, 7.0]]]), steps, jnp.array([[2.0]])).tolist()
        [[[2.0, 7.0]]]
    """
    absolute, shared = steps.absolute[None, :, None], steps.shared[None, :, None]
    squares = jnp.sum(jnp.square(steps.vectors), axis=-1)[None]
    positions = jnp.einsum("nld,eld->nel", codes, steps.vectors, precision=PRECISION)
    positions = positions - steps.offset[None]
    positions = jnp.where(shared > 0, positions, jnp.sum(positions, axis=2, keepdims=True))
    squares = jnp.where(shared > 0, squares, jnp.sum(squares, axis=2, keepdims=True))
    squares = jnp.where(squares > 0, squares, 1)
    targets = (amounts * steps.scale[None])[:, :, None]
    distances = jnp.where(absolute > 0, (targets - positions) / squares, targets)
    return codes + jnp.einsum("nel,eld->nld", distances, steps.vectors, precision=PRECISION)


def edit(
    generator: Generator,
    codes: Float[Array, "n L d"],
    directions: Directions,
    amounts: Sequence[float] | Float[Array, " k"] | Float[Array, "n k"],
    layers: Sequence[int] | None = None,
    mode: Mode = "relative",
) -> Float[Array, "n L d"]:
    """Moves codes along all `directions` at once.

    Whether this comes before or after `generator.truncate` is the caller's order of calls; the
    directions' `stage` says which they were made for.

    Args:
        generator: whose codes these are.
        codes: latent codes, a row for each layer (for directions in z: [n, 1, z_dim]).
        directions: one move for each.
        amounts: one for each direction, or [n, k] for each sample too.
        layers: the layers that move; `None` for those of the directions.
        mode: "relative" or "absolute", see `moves`.

    Raises:
        UserError: if directions, amounts or layers do not fit.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> directions = Directions.of(jnp.array([[[1.0, 0.0]]]))
        >>> edit(generator, jnp.zeros((1, 1, 2)), directions, [3.0]).tolist()
        [[[3.0, 0.0]]]
    """
    steps = moves(generator, directions, layers, mode)
    if codes.ndim != 3 or codes.shape[1:] != steps.vectors.shape[1:]:
        raise UserError(
            f"codes must be [n, {steps.vectors.shape[1]}, {steps.vectors.shape[2]}], "
            f"got {list(codes.shape)}"
        )
    array = jnp.asarray(amounts, codes.dtype)
    if array.shape not in ((len(directions),), (codes.shape[0], len(directions))):
        raise UserError(
            f"{len(directions)} amounts are needed, one for each direction, got {list(array.shape)}"
        )
    return move(codes, steps, jnp.broadcast_to(array, (codes.shape[0], len(directions))))

"""Edits are data: which directions, how far, on which layers, relative or absolute, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import Directions, Stage
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.generators.layers import PRECISION

Mode = Literal["relative", "absolute"]
Amounts = Sequence[float | Array] | Array | np.ndarray


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Moves:
    """Directions compiled to arrays: `e` moves of a code of `L` rows, zero on layers that stay.

    Attributes:
        vectors: the directions; for each of `b` codes where the moves are mapped over codes.
        offset: coordinate, along each row, from which positions are measured.
        scale: length of one unit.
        absolute: 1 to set a position, 0 to move by an amount.
        per_row: 1 if each row has a position of its own, 0 if the code has one over all rows.
    """

    vectors: Float[Array, "*b e L d"]
    offset: Float[Array, "*b e L"]
    scale: Float[Array, "*b e"]
    absolute: Float[Array, "*b e"]
    per_row: Float[Array, "*b e"]


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
            code already there stays. Both count in the directions' units; a position is that of
            the layers that move.

    Raises:
        UserError: if the directions do not fit the generator, or a layer is out of range.
    """
    if mode not in ("relative", "absolute"):
        raise UserError(f"mode must be relative or absolute, got {mode!r}")
    directions.check(generator)
    rows = 1 if directions.space == "z" else generator.num_layers
    if layers is not None and directions.space == "z" and rows < generator.num_layers:
        raise UserError("directions in z act before the layers are told apart; give no layers")
    own = directions.layers or range(rows)
    chosen = generator.select_layers(own if layers is None else layers)
    mask = jnp.zeros(rows).at[jnp.array(chosen)].set(1)
    k, m, d = directions.vectors.shape
    vectors = jnp.broadcast_to(directions.vectors, (k, rows, d)) * mask[None, :, None]
    mean = jnp.broadcast_to(directions.mean, (rows, d))
    offset = jnp.einsum("ld,eld->el", mean, vectors, precision=PRECISION)
    share = (
        jnp.asarray(directions.intercept)[:, None]
        * mask[None]
        / (1 if m == 1 else len(set(chosen)))
    )
    return Moves(
        vectors=vectors,
        offset=offset - share,
        scale=jnp.asarray(directions.scale),
        absolute=jnp.full(k, float(mode == "absolute")),
        per_row=jnp.full(k, float(m == 1)),
    )


def move(
    codes: Float[Array, "n L d"], steps: Moves, amounts: Float[Array, "n e"]
) -> Float[Array, "n L d"]:
    """Moves each code by `amounts`, all moves at once.

    Positions are measured on the codes as they come, so absolute moves reach all their positions
    only along directions that are orthogonal to each other. A direction that is the same for all
    layers has a position in each of them; one with a row for each layer has one over all.

    Args:
        codes: latent codes.
        steps: `e` moves.
        amounts: how far, or where to, in the directions' units.

    Example:
        >>> steps = Moves(jnp.array([[[1.0, 0.0]]]), jnp.zeros((1, 1)), *jnp.ones((3, 1)))
        >>> move(jnp.array([[[5.0, 7.0]]]), steps, jnp.array([[2.0]])).tolist()
        [[[2.0, 7.0]]]
    """
    absolute, per_row = steps.absolute[None, :, None], steps.per_row[None, :, None]
    squares = jnp.sum(jnp.square(steps.vectors), axis=-1)[None]
    positions = jnp.einsum("nld,eld->nel", codes, steps.vectors, precision=PRECISION)
    positions = positions - steps.offset[None]
    positions = jnp.where(per_row > 0, positions, jnp.sum(positions, axis=2, keepdims=True))
    squares = jnp.where(per_row > 0, squares, jnp.sum(squares, axis=2, keepdims=True))
    squares = jnp.where(squares > 0, squares, 1)
    targets = (amounts * steps.scale[None])[:, :, None]
    distances = jnp.where(absolute > 0, (targets - positions) / squares, targets)
    return codes + jnp.einsum("nel,eld->nld", distances, steps.vectors, precision=PRECISION)


_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Edit:
    """What to do to a code, as data.

    Attributes:
        directions: one move for each.
        amounts: how far, or where to, in the directions' units: one for each direction, or [n, k].
        layers: the layers that move; `None` for those of the directions.
        mode: "relative" moves by the amounts, "absolute" to them; see `moves`.
        stage: "before" or "after" truncation; `None` for the directions' own.
    """

    directions: Directions
    amounts: Amounts
    layers: tuple[int, ...] | None = field(default=None, metadata=_STATIC)
    mode: Mode = field(default="relative", metadata=_STATIC)
    stage: Stage | None = field(default=None, metadata=_STATIC)


def edit(
    generator: Generator,
    codes: Float[Array, "n L d"],
    *edits: Edit,
    psi: float | Array | None = None,
    cutoff: int | None = None,
) -> Float[Array, "n L d"]:
    """Edits codes: the moves before truncation at once, truncation, the moves after it at once.

    Args:
        generator: whose codes these are.
        codes: latent codes before truncation, a row for each layer (for directions in z of a
            generator with a mapping network: [n, 1, z_dim]).
        *edits: any number, each with its directions, amounts, layers, mode and stage.
        psi: truncation; `None` for none.
        cutoff: the number of layers that are truncated; `None` for all.

    Raises:
        UserError: if directions, amounts, layers or stages do not fit.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> directions = Directions.of(jnp.array([[[1.0, 0.0]]]))
        >>> edit(generator, jnp.ones((1, 1, 2)), Edit(directions, [3.0]), psi=0.5).tolist()
        [[[3.5, 0.5]]]
    """
    check_truncation(psi, cutoff)
    if psi is not None and any(acts_on_z(generator, one.directions) for one in edits):
        raise UserError("truncation acts on w: edit z, map and broadcast it, then truncate")
    codes = jnp.asarray(codes)
    compiled = [_compiled(generator, codes, one) for one in edits]
    for stage in ("before", "after"):
        if stage == "after" and psi is not None:
            codes = generator.truncate(codes, psi, cutoff)
        steps = [(s, a) for s, a, when in compiled if when == stage]
        if steps:
            joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *[s for s, _ in steps])
            amounts = jnp.concatenate([a for _, a in steps], axis=1)
            codes = move(codes, joined, amounts).astype(codes.dtype)
    return codes


def _compiled(
    generator: Generator, codes: Array, one: Edit
) -> tuple[Moves, Float[Array, "n k"], Stage]:
    steps = moves(generator, one.directions, one.layers, one.mode)
    check_rows(codes, steps)
    k, n = len(one.directions), codes.shape[0]
    amounts = jnp.asarray(one.amounts, codes.dtype)
    if amounts.shape not in ((k,), (n, k)):
        raise UserError(
            f"{k} amounts are needed, one for each direction, got {list(amounts.shape)}"
        )
    return steps, jnp.broadcast_to(amounts, (n, k)), chosen_stage(one.directions, one.stage)


def chosen_stage(directions: Directions, stage: Stage | None) -> Stage:
    """Returns `stage`, or the directions' own if it is `None`."""
    if stage not in (None, "before", "after"):
        raise UserError(f"stage must be before or after, got {stage!r}")
    return stage or directions.stage


def acts_on_z(generator: Generator, directions: Directions) -> bool:
    """Tells whether moves along `directions` come before a mapping network."""
    return directions.space == "z" and list(generator.spaces) != ["z"]


def check_truncation(psi: float | Array | None, cutoff: int | None) -> None:
    """Raises `UserError` for a cutoff of nothing."""
    if cutoff is not None and psi is None:
        raise UserError("cutoff goes with psi; give both")


def check_rows(codes: Array, steps: Moves) -> None:
    """Raises `UserError` unless the moves act on codes of this shape, of a floating type."""
    _, rows, width = steps.vectors.shape
    if codes.ndim != 3 or codes.shape[1:] != (rows, width):
        raise UserError(
            f"codes must be [n, {rows}, {width}] in the directions' space, got {list(codes.shape)}"
        )
    if not jnp.issubdtype(codes.dtype, jnp.floating):
        raise UserError(f"codes must be of a floating type, got {codes.dtype}")

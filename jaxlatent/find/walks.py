"""What trained finders return: walks in the codes, as unit directions with a length."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples


def learned(
    samples: Samples,
    walks: Float[Any, "k m d"],
    scores: Float[Any, " k"],
    names: Sequence[str],
    layers: Sequence[int] | None,
    **fields: Any,
) -> Directions:
    """Returns trained walks as directions, best score first.

    A walk's length becomes the direction's unit: an edit by 1 moves a code by the walk.

    Raises:
        UserError: if a walk has no length.
    """
    walks, scores = np.asarray(walks, np.float64), np.asarray(scores, np.float32)
    lengths = np.sqrt(np.sum(np.square(walks), axis=(1, 2)))
    dead = [name for name, length in zip(names, lengths, strict=True) if not length > 0]
    if dead:
        raise UserError(f"nothing was found for {', '.join(dead)}: nothing changes along the codes")
    found = Directions.of(
        (walks / lengths[:, None, None]).astype(np.float32),
        scores,
        scale=lengths.astype(np.float32),
        names=tuple(names),
        **fields,
    )
    return found[np.argsort(-scores, kind="stable")].bind(samples.generator, layers)


def with_length_of(
    codes: Float[Array, "n L d"], moved: Float[Array, "n L d"]
) -> Float[Array, "n L d"]:
    """Scales each row of `moved` to the length of the row of `codes`, unless either is zero.

    Example:
        >>> with_length_of(jnp.array([[[10.0, 0.0]]]), jnp.array([[[3.0, 4.0]]])).tolist()
        [[[6.0, 8.0]]]
    """
    wanted, got = (jnp.sum(jnp.square(c), axis=-1, keepdims=True) for c in (codes, moved))
    some = (wanted > 0) & (got > 0)
    return moved * jnp.sqrt(jnp.where(some, wanted, 1) / jnp.where(some, got, 1))

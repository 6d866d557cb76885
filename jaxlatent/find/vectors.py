"""What finders ask of vectors: how many there can be, and which way they point."""

import operator

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError

SIGN_ANCHOR = "the component of largest magnitude is positive"
NO_VARIANCE = 1e-12  # relative to the largest; what float64 cannot tell from none


def check_count(k: int, size: int) -> None:
    """Raises `UserError` unless `k` directions can be had of `size`."""
    if not 1 <= operator.index(k) <= size:
        raise UserError(f"k must be in 1 to {size}, got {k}")


def anchor_sign(vectors: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    """Flips each vector so that its component of largest magnitude is positive."""
    largest = jnp.argmax(jnp.abs(vectors), axis=-1, keepdims=True)
    sign = jnp.sign(jnp.take_along_axis(vectors, largest, axis=-1))
    return vectors * jnp.where(sign == 0, 1, sign)

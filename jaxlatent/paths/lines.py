"""Straight lines and arcs between latent codes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError

Codes = Float[Array | np.ndarray, "*c"]
Times = Float[Array | np.ndarray, " s"] | Sequence[float]


def lerp(a: Codes, b: Codes, times: Times) -> Float[Array, "s *c"]:
    """Returns points on the straight line from `a` (at 0) to `b` (at 1).

    Args:
        a: a code or codes of any shape.
        b: of the same shape.
        times: where; beyond [0, 1] the line goes on.

    Raises:
        UserError: if the shapes differ.

    Example:
        >>> lerp(jnp.zeros(2), jnp.array([2.0, 4.0]), [0.5, 1.0]).tolist()
        [[1.0, 2.0], [2.0, 4.0]]
    """
    a, b, t = _ends(a, b, times)
    return (1 - t) * a[None] + t * b[None]


def slerp(a: Codes, b: Codes, times: Times) -> Float[Array, "s *c"]:
    """Returns points on the arcs from the vectors `a` to the vectors `b`.

    The angle grows evenly, the length goes evenly from that of `a` to that of `b`: codes of one
    length keep it. Between vectors of the same direction this is `lerp`; between opposite ones,
    of which many arcs are the shortest, one is chosen, always the same. A zero vector has no
    direction and takes that of the other.

    Args:
        a: a code or codes; their last axis holds the vectors.
        b: of the same shape.
        times: where; beyond [0, 1] the arc goes on.

    Raises:
        UserError: if the shapes differ.

    Example:
        >>> slerp(jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), [0.0, 1 / 3]).round(4)
        Array([[2.    , 0.    ],
               [1.7321, 1.    ]], dtype=float32)
    """
    a, b, t = _ends(a, b, times)
    return _slerp(a, b, t)


@jax.jit
def _slerp(a: Float[Array, "*c"], b: Float[Array, "*c"], t: Array) -> Float[Array, "s *c"]:
    lengths_a, u = _polar(a)
    lengths_b, v = _polar(b)
    u = jnp.where(lengths_a > 0, u, v)
    v = jnp.where(lengths_b > 0, v, u)
    both_zero = (lengths_a == 0) & (lengths_b == 0)
    cosine = jnp.where(both_zero, 1, jnp.sum(u * v, axis=-1, keepdims=True))
    # the difference to the nearer of v and -v keeps its digits where v is almost parallel to u
    side = jnp.where(cosine < 0, -1, 1).astype(u.dtype)
    away = side * v - u
    away = side * (away - jnp.sum(away * u, axis=-1, keepdims=True) * u)
    sine, across = _polar(away)
    opposite = (sine == 0) & (cosine < 0)
    across = jnp.where(opposite, _perpendicular(u), across)
    angle = jnp.arctan2(sine, cosine)
    angle, u, across = angle[None], u[None], across[None]
    lengths = (1 - t) * lengths_a[None] + t * lengths_b[None]
    return lengths * (jnp.cos(t * angle) * u + jnp.sin(t * angle) * across)


def _polar(x: Float[Array, "*c"]) -> tuple[Float[Array, "..."], Float[Array, "*c"]]:
    """Returns lengths and unit vectors; zero vectors stay zero, and have a gradient."""
    largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    some = largest > 0
    scaled = x / jnp.where(some, largest, 1)
    squares = jnp.sum(jnp.square(scaled), axis=-1, keepdims=True)
    norm = jnp.sqrt(jnp.where(some, squares, 1))
    return jnp.where(some, norm * largest, 0), scaled / norm


def _perpendicular(u: Float[Array, "*c"]) -> Float[Array, "*c"]:
    """Returns unit vectors orthogonal to unit vectors: the axis least along them, projected."""
    axis = jax.nn.one_hot(jnp.argmin(jnp.abs(u), axis=-1), u.shape[-1], dtype=u.dtype)
    return _polar(axis - jnp.sum(axis * u, axis=-1, keepdims=True) * u)[1]


def as_times(times: Times) -> Float[Array, " s"]:
    """Returns times as an array.

    Raises:
        UserError: if they are not a list of numbers.
    """
    try:
        t = jnp.asarray(times, jnp.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"times must be a list of numbers, got {times!r}") from error
    if t.ndim != 1:
        raise UserError(f"times must be a list of numbers, got shape {list(t.shape)}")
    return t


def _ends(a: Codes, b: Codes, times: Times) -> tuple[Array, Array, Array]:
    """Returns the ends as arrays and times with as many axes as the result."""
    a, b, t = jnp.asarray(a), jnp.asarray(b), as_times(times)
    if a.shape != b.shape or not a.ndim:
        raise UserError(f"both ends must have one shape, got {list(a.shape)} and {list(b.shape)}")
    if not a.size:
        raise UserError(f"codes must hold numbers, got {list(a.shape)}")
    return a, b, t.reshape(-1, *[1] * a.ndim)

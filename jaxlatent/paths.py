"""Paths between latent codes: straight, spherical, cubic and geodesic; arithmetic and mixing."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.layers import PRECISION

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
    cosine = jnp.sum(u * v, axis=-1, keepdims=True)
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


def keyframes(
    codes: Float[Array | np.ndarray, "m *c"], times: Times, closed: bool = False
) -> Array:
    r"""Returns points on the smooth curve through codes: a cubic spline with equal steps.

    Args:
        codes: `m` keyframes, at the times 0, 1, ...
        times: where. An open curve goes on straight beyond its ends.
        closed: whether the last keyframe leads back to the first, at time `m`, as smoothly as
            everywhere else; times wrap round.

    Returns:
        [s, ...] codes. First and second derivatives are continuous; at the ends of an open curve
        the second is zero.

    Raises:
        UserError: if there are fewer than two keyframes.

    Example:
        >>> keyframes(jnp.array([[0.0], [1.0], [0.0]]), [0.0, 0.5, 1.0])[:, 0].tolist()
        [0.0, 0.6875, 1.0]
        >>> keyframes(jnp.array([[0.0], [1.0]]), [1.5, 4.5], closed=True)[:, 0].tolist()
        [0.5, 0.5]
    """
    codes, times = jnp.asarray(codes), jnp.asarray(times, jnp.float32)
    if codes.ndim < 2 or codes.shape[0] < 2:
        raise UserError(f"at least 2 keyframes [m, ...] are needed, got {list(codes.shape)}")
    return _spline(codes, times, jnp.asarray(_slope_matrix(codes.shape[0], closed)), closed)


@partial(jax.jit, static_argnames="closed")
def _spline(
    codes: Float[Array, "m *c"], times: Float[Array, " s"], matrix: Array, closed: bool
) -> Float[Array, "s *c"]:
    m = codes.shape[0]
    slopes = jnp.tensordot(matrix.astype(codes.dtype), codes, 1, precision=PRECISION)
    if closed:
        times = jnp.mod(times, m)
    start = jnp.clip(jnp.floor(times).astype(jnp.int32), 0, m - 1 if closed else m - 2)
    end = (start + 1) % m
    t = (times - start).reshape(-1, *[1] * (codes.ndim - 1))
    inside = jnp.clip(t, 0, 1)
    near, far = codes[start], codes[end]
    gap = far - near
    bend = slopes[start] - gap, slopes[end] - gap
    curve = (
        near + inside * gap + inside * (1 - inside) * ((1 - inside) * bend[0] - inside * bend[1])
    )
    return curve + (t - inside) * jnp.where(t > 1, slopes[end], slopes[start])


def _slope_matrix(m: int, closed: bool) -> Float[np.ndarray, "m m"]:
    """Returns the matrix that makes a spline's slopes at its keyframes from the keyframes."""
    after, before = np.roll(np.eye(m), 1, axis=1), np.roll(np.eye(m), -1, axis=1)
    left, right = 4 * np.eye(m) + after + before, 3 * (after - before)
    if not closed:
        for row, (one, other) in ((0, (0, 1)), (m - 1, (m - 1, m - 2))):
            left[row], right[row] = 0, 0
            left[row, [one, other]] = 2, 1
            right[row, [min(one, other), max(one, other)]] = -3, 3
    return np.linalg.solve(left, right).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Geodesic:
    """A shortest path as it was found.

    Attributes:
        points: codes on the path, the ends included.
        energy: half the sum of squared steps of the output, over the time of a step.
        straight_energy: of the straight line, never less.
    """

    points: Float[Array, "p *c"]
    energy: float
    straight_energy: float


def geodesic(
    function: Callable[..., Array],
    start: Codes,
    end: Codes,
    *arguments: Any,
    points: int = 16,
    steps: int = 100,
) -> Geodesic:
    r"""Finds a path along which the output changes as evenly and as little as possible.

    Minimises the energy $\frac{1}{2 \delta t} \sum_i \|g(z_{i+1}) - g(z_i)\|^2$ of a path with
    fixed ends, $\delta t = 1 / (p - 1)$, by L-BFGS from the straight line. Straight lines are
    nearly geodesic in many generators: expect a small gain.

    Args:
        function: `function(codes, *arguments)`, from [p, ...] codes to outputs [p, ...] such as
            images or features.
        start: a code.
        end: a code of the same shape.
        *arguments: pytrees such as a generator, which `function` gets.
        points: number of points `p`, at least 3.
        steps: number of iterations.

    Raises:
        UserError: if the ends have different shapes, or a number is out of range.

    References:
        Shao, Kumar and Fletcher, "The Riemannian Geometry of Deep Generative Models", CVPR
        workshops 2018, arXiv:1711.08014.

    Example:
        >>> def surface(codes):
        ...     return jnp.stack([codes[:, 0], codes[:, 1], jnp.sin(3 * codes[:, 0])], axis=1)
        >>> found = geodesic(surface, jnp.zeros(2), jnp.array([1.0, 0.0]), points=8)
        >>> bool(found.energy < found.straight_energy)
        True
    """
    points, steps = operator.index(points), operator.index(steps)
    if points < 3 or steps < 1:
        raise UserError(f"points must be at least 3 and steps 1, got {points} and {steps}")
    straight = lerp(start, end, jnp.linspace(0, 1, points))
    straight = straight.at[0].set(start).at[-1].set(end)
    path, energy, first = _relax(function, straight, arguments, steps)
    return Geodesic(path, float(energy), float(first))


@partial(jax.jit, static_argnames=("function", "steps"))
def _relax(
    function: Callable[..., Array], path: Float[Array, "p *c"], arguments: tuple, steps: int
) -> tuple[Float[Array, "p *c"], Float[Array, ""], Float[Array, ""]]:
    start, end = path[:1], path[-1:]

    def energy(inner: Array) -> Float[Array, ""]:
        outputs = function(jnp.concatenate([start, inner, end]), *arguments)
        return 0.5 * (path.shape[0] - 1) * jnp.sum(jnp.square(outputs[1:] - outputs[:-1]))

    optimiser = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(energy)

    def step(_: Array, carry: tuple) -> tuple:
        inner, state, best, least = carry
        value, gradient = value_and_grad(inner, state=state)
        updates, state = optimiser.update(
            gradient, state, inner, value=value, grad=gradient, value_fn=energy
        )
        inner = optax.apply_updates(inner, updates)
        value = optax.tree.get(state, "value")
        better = value < least
        return inner, state, jnp.where(better, inner, best), jnp.where(better, value, least)

    inner = path[1:-1]
    first = energy(inner)
    carry = (inner, optimiser.init(inner), inner, first)
    _, _, best, least = jax.lax.fori_loop(0, steps, step, carry)
    return jnp.concatenate([start, best, end]), least, first


def arithmetic(
    plus: Sequence[Array | np.ndarray], minus: Sequence[Array | np.ndarray] = ()
) -> Array:
    """Adds and subtracts mean codes: "smiling woman" - "neutral woman" + "neutral man".

    Args:
        plus: groups of codes [n, ...], whose means are added.
        minus: groups whose means are subtracted.

    Returns:
        One code, without the axis of samples. For a code, give one group more to `plus` than to
        `minus`; for a difference, as many.

    Raises:
        UserError: if there is no group, one is empty, or the shapes of the codes differ.

    References:
        Radford, Metz and Chintala, ICLR 2016, arXiv:1511.06434, section 6.3.2.

    Example:
        >>> arithmetic([jnp.array([[1.0], [3.0]]), jnp.array([[10.0]])], [jnp.array([[4.0]])])
        Array([8.], dtype=float32)
    """
    groups = [jnp.asarray(group) for group in (*plus, *minus)]
    shapes = sorted({group.shape[1:] for group in groups})
    if len(shapes) != 1 or any(not group.ndim or not group.shape[0] for group in groups):
        raise UserError(
            "at least one group is needed, none empty, all of codes of one shape; got "
            f"{[list(group.shape) for group in groups]}"
        )
    signs = jnp.array([1.0] * len(plus) + [-1.0] * len(minus))
    return jnp.tensordot(signs, jnp.stack([group.mean(axis=0) for group in groups]), 1)


def mix_styles(
    codes: Float[Array | np.ndarray, "n L d"],
    styles: Float[Array | np.ndarray, "m L d"],
    layers: Sequence[int],
) -> Float[Array, "n m L d"]:
    """Gives every code the rows of every style on some layers.

    Args:
        codes: what the other layers keep.
        styles: where the rows come from.
        layers: the layers that are replaced; the first ones hold the coarse styles.

    Raises:
        UserError: if the shapes differ, or a layer is out of range.

    References:
        Karras, Laine and Aila, CVPR 2019, arXiv:1812.04948, section 3.1.

    Example:
        >>> mix_styles(jnp.zeros((1, 3, 1)), jnp.ones((2, 3, 1)), [0, 2])[0, 1, :, 0].tolist()
        [1.0, 0.0, 1.0]
    """
    if codes.ndim != 3 or styles.ndim != 3 or codes.shape[1:] != styles.shape[1:]:
        raise UserError(
            "codes and styles must be [n, layers, d] alike, got "
            f"{list(codes.shape)} and {list(styles.shape)}"
        )
    count = codes.shape[1]
    chosen = [operator.index(i) for i in layers]
    if not chosen or not 0 <= min(chosen) <= max(chosen) < count:
        raise UserError(f"layers must be in 0 to {count - 1}, got {chosen}")
    replaced = np.isin(np.arange(count), chosen)[None, None, :, None]
    return jnp.where(replaced, jnp.asarray(styles)[None], jnp.asarray(codes)[:, None])


def _ends(a: Codes, b: Codes, times: Times) -> tuple[Array, Array, Array]:
    """Returns the ends as arrays and times with as many axes as the result."""
    a, b, t = jnp.asarray(a), jnp.asarray(b), jnp.asarray(times, jnp.float32)
    if a.shape != b.shape or not a.ndim:
        raise UserError(f"both ends must have one shape, got {list(a.shape)} and {list(b.shape)}")
    if t.ndim != 1:
        raise UserError(f"times must be a list of numbers, got shape {list(t.shape)}")
    return a, b, t.reshape(-1, *[1] * a.ndim)

"""Solvers of convex problems that say how far from the optimum they stopped."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

_GAP = 1e-8  # relative to the objective, at which to stop,
_ERROR = 1e-4  # if the weight is also known to this relative error
_ITERATIONS = 200
_PATIENCE = 15  # steps without a smaller gap after which rounding errors rule


class Optimum(NamedTuple):
    """The best point that was found.

    Attributes:
        w: solution; its last element is the intercept, which is not penalised.
        objective: its value.
        gap: bound of how far this is above the minimum.
        steps: that were taken.
    """

    w: Float[Array | np.ndarray, " e"]
    objective: Float[Array, ""] | float
    gap: Float[Array, ""] | float
    steps: Int[Array, ""] | int


def reached(best: Optimum) -> Array | np.ndarray | np.bool_:
    """Returns whether a point is as close to the optimum as is asked for."""
    known = 2 * best.gap <= _ERROR**2 * (best.w[:-1] @ best.w[:-1])
    return known & (best.gap <= _GAP * best.objective)


class _State(NamedTuple):
    point: Any
    best: Optimum
    idle: Int[Array, ""]


def _iterate(
    advance: Callable[[Any], Any],
    quality: Callable[[Any], tuple[Array, Array, Array]],
    start: Any,
) -> Optimum:
    """Repeats `advance` until the gap is small, or does not shrink any more."""

    def unfinished(state: _State) -> Bool[Array, ""]:
        tired = (state.best.steps >= _ITERATIONS) | (state.idle >= _PATIENCE)
        return jnp.logical_not(reached(state.best) | tired)

    def step(state: _State) -> _State:
        point, best = advance(state.point), state.best
        found = Optimum(*quality(point), best.steps + 1)
        better = found.gap < best.gap
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), found, best)
        best = best._replace(steps=found.steps)
        broken = ~jnp.isfinite(found.gap)
        idle = jnp.where(better, 0, jnp.where(broken, _PATIENCE, state.idle + 1))
        return _State(point, best, idle)

    first = Optimum(*quality(start), jnp.zeros((), jnp.int32))
    state = _State(start, first, jnp.zeros((), jnp.int32))
    return lax.while_loop(unfinished, step, state).best


class Smooth(NamedTuple):
    """A convex loss of a margin, with its first and second derivative."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]


SQUARED_HINGE = Smooth(
    lambda m: jnp.maximum(0, 1 - m) ** 2,
    lambda m: -2 * jnp.maximum(0, 1 - m),
    lambda m: jnp.where(m < 1, 2.0, 0.0),
)
LOGISTIC = Smooth(
    lambda m: jax.nn.softplus(-m),
    lambda m: -jax.nn.sigmoid(-m),
    lambda m: jax.nn.sigmoid(m) * jax.nn.sigmoid(-m),
)


def newton(b: Float[Array, "r e"], c: Float[Array, ""], loss: Smooth) -> Optimum:
    r"""Minimises $\frac12\|w'\|^2 + C \sum \ell(Bw)$, w' being w without its last element.

    The objective is strongly convex in the weight, so half the square of its gradient bounds the
    gap; that of the intercept counts in full, as margins are of the order of 1.

    Args:
        b: samples with a 1 appended, times their signs; rows of zeros do not matter.
        c: weight of the losses.
        loss: of a margin.
    """
    penalty = jnp.ones(b.shape[1]).at[-1].set(0)

    def value(w: Array) -> Array:
        return jnp.sum(penalty * w**2) / 2 + c * jnp.sum(loss.value(b @ w))

    def gradient(w: Array) -> Array:
        return penalty * w + c * loss.slope(b @ w) @ b

    def quality(w: Array) -> tuple[Array, Array, Array]:
        slope = gradient(w)
        return w, value(w), jnp.sum(slope[:-1] ** 2) / 2 + jnp.abs(slope[-1])

    def advance(w: Array) -> Array:
        slope, height = gradient(w), value(w)
        curved = c * b.T @ (loss.curvature(b @ w)[:, None] * b)
        # an intercept that no sample holds, all being beyond their margins, must not be singular
        factor = _cholesky(curved + jnp.diag(penalty.at[-1].set(1e-9 * c)))
        step = -_solve(factor, slope)
        enough = 1e-4 * (slope @ step)
        noise = 1e-14 * height

        def too_long(length: Array) -> Bool[Array, ""]:
            descended = value(w + length * step) <= height + length * enough + noise
            return ~descended & (length > 1e-10)

        return w + lax.while_loop(too_long, lambda length: length / 2, jnp.ones(())) * step

    return _iterate(advance, quality, jnp.zeros(b.shape[1]))


def _cholesky(matrix: Float[Array, "e e"]) -> Float[Array, "e e"]:
    return lax.linalg.cholesky(matrix, symmetrize_input=False)


def _solve(factor: Float[Array, "e e"], right: Float[Array, " e"]) -> Float[Array, " e"]:
    return jax.scipy.linalg.cho_solve((factor, True), right)

"""Solvers of convex problems that say how far from the optimum they stopped."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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

    w: Float[Array, " e"]
    objective: Float[Array, ""]
    gap: Float[Array, ""]
    steps: Int[Array, ""]


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
        best = state.best
        known = 2 * best.gap <= (_ERROR * jnp.linalg.norm(best.w[:-1])) ** 2
        done = known & (best.gap <= _GAP * best.objective)
        return ~done & (best.steps < _ITERATIONS) & (state.idle < _PATIENCE)

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


class _Point(NamedTuple):
    """Where the interior point method is; all but `w` stay positive.

    Attributes:
        w: weight and, last, intercept.
        a: dual variables, in 0 to c.
        t: c - a.
        z: multipliers of a >= 0: how far a sample is beyond its margin.
        s: multipliers of a <= c: how far it is on the wrong side.
    """

    w: Float[Array, " e"]
    a: Float[Array, " r"]
    t: Float[Array, " r"]
    z: Float[Array, " r"]
    s: Float[Array, " r"]

    def plus(self, length: Array, step: "_Point") -> "_Point":
        return _Point(*(v + length * dv for v, dv in zip(self, step, strict=True)))

    def reach(self, step: "_Point") -> Float[Array, ""]:
        """Returns how much of `step` can be gone, up to 1, before something vanishes."""
        pairs = zip(self[1:], step[1:], strict=True)
        reaches = [jnp.min(jnp.where(dv < 0, -v / dv, jnp.inf)) for v, dv in pairs]
        return jnp.minimum(1, jnp.min(jnp.stack(reaches)))

    def complementarity(self) -> Float[Array, ""]:
        """Returns the mean of the products that are 0 at the optimum."""
        return (self.z @ self.a + self.s @ self.t) / (2 * self.a.size)


def hinge(b: Float[Array, "r e"], c: Float[Array, ""]) -> Optimum:
    r"""Minimises $\frac12\|w'\|^2 + C \sum \max(0, 1 - Bw)$, w' being w without its last element.

    A primal-dual interior point method with a predictor and a corrector. A step is solved for
    the weight first, in a positive definite matrix [e, e] that loses no digits as multipliers
    vanish; solving for the dual variables first would subtract nearly equal numbers.

    Args:
        b: samples with a 1 appended, times their signs; rows of zeros do not matter.
        c: weight of the losses.

    References:
        Mehrotra, "On the Implementation of a Primal-Dual Interior Point Method", SIAM Journal on
        Optimization 2(4), 1992. Ferris and Munson, "Interior-Point Methods for Massive Support
        Vector Machines", SIAM Journal on Optimization 13(3), 2002.
    """
    n, e = b.shape
    penalty = jnp.ones(e).at[-1].set(0)

    def quality(p: _Point) -> tuple[Array, Array, Array]:
        dual_w = p.a @ b
        primal = jnp.sum(penalty * p.w**2) / 2 + c * jnp.sum(jnp.maximum(0, 1 - b @ p.w))
        dual = jnp.sum(p.a) - jnp.sum(penalty * dual_w**2) / 2
        return p.w, primal, jnp.abs(primal - dual) + jnp.abs(p.w[-1] * dual_w[-1])

    def advance(p: _Point) -> _Point:
        weight = 1 / (p.z / p.a + p.s / p.t)
        factor = _cholesky(jnp.diag(penalty) + b.T @ (weight[:, None] * b))
        in_w, in_a = p.a @ b - penalty * p.w, 1 + p.z - p.s - b @ p.w

        def towards(low: Array, high: Array) -> _Point:
            """Returns the step after which z a has changed by `low` and s t by `high`."""
            right = in_a + low / p.a - high / p.t
            dw = _solve(factor, (weight * right) @ b + in_w)
            da = weight * (right - b @ dw)
            return _Point(dw, da, -da, (low - p.z * da) / p.a, (high + p.s * da) / p.t)

        step = towards(-p.z * p.a, -p.s * p.t)
        before, after = p.complementarity(), p.plus(p.reach(step), step).complementarity()
        aim = before * (after / before) ** 3
        step = towards(aim - p.z * p.a - step.z * step.a, aim - p.s * p.t - step.s * step.t)
        return p.plus(0.995 * p.reach(step), step)

    half, one = jnp.full(n, c / 2), jnp.ones(n)
    return _iterate(advance, quality, _Point(jnp.zeros(e), half, half, one, one))


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
    """Minimises what `hinge` does, with a smooth loss in its place, by Newton's method.

    The objective is strongly convex in the weight, so half the square of its gradient bounds the
    gap; that of the intercept counts in full, as margins are of the order of 1.

    Args:
        b: as in `hinge`.
        c: as in `hinge`.
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

"""Least squares with a penalty on rows that are not orthogonal, for many strengths at once."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxlatent.find.vectors import NO_VARIANCE
from jaxlatent.generators.layers import PRECISION

Penalty = Literal["gram", "offdiag", "cosine"]
PENALTIES = ("gram", "offdiag", "cosine")
TOLERANCE = 1e-7  # of the gradient, relative to that of the map to nothing
_MAX_STEPS = 2000
_NEWTON_STEPS = 200


@jax.jit
def unpenalised(
    c: Float[Array | np.ndarray, "d d"],
    b: Float[Array | np.ndarray, "a d"],
    strengths: Float[Array | np.ndarray, " s"],
    penalty: int | Int[Array, ""],
) -> tuple[Float[Array, "s a d"], Float[Array, " s"]]:
    """Does what `penalised` does if no strength is above 0, without compiling a search."""
    c, b = jnp.asarray(c), jnp.asarray(b)
    w = _least_squares(c, b)
    gradient = _left(jax.grad(_loss)(w, c, b, jnp.zeros(()), jnp.asarray(penalty)), b)
    s = strengths.shape[0]
    return jnp.broadcast_to(w, (s, *w.shape)), jnp.broadcast_to(gradient, s)


@jax.jit
def penalised(
    c: Float[Array | np.ndarray, "d d"],
    b: Float[Array | np.ndarray, "a d"],
    strengths: Float[Array | np.ndarray, " s"],
    penalty: int | Int[Array, ""],
) -> tuple[Float[Array, "s a d"], Float[Array, " s"]]:
    """Minimises the loss for every strength, from least squares on; returns the gradients left."""
    c, b = jnp.asarray(c), jnp.asarray(b)
    start = _least_squares(c, b)
    solve = partial(_minimise, c, b, start, penalty=jnp.asarray(penalty))
    return jax.vmap(solve)(jnp.asarray(strengths))


def polished(
    w: Float[np.ndarray, "a d"],
    c: Float[np.ndarray, "d d"],
    b: Float[np.ndarray, "a d"],
    strength: float,
    penalty: int,
) -> tuple[Float[np.ndarray, "a d"], float]:
    """Goes on where a search has stalled, by Newton steps in a trust region (Steihaug 1983).

    L-BFGS does where codes vary much more along some axes than along others. Returns the map and
    the gradient left; inside `jax.enable_x64(True)`.
    """
    from scipy.optimize import minimize

    rest = (jnp.asarray(c), jnp.asarray(b), jnp.float64(strength), jnp.asarray(penalty))
    found = minimize(
        lambda x: tuple(np.asarray(part) for part in _value(x, *rest)),
        np.asarray(w).ravel(),
        jac=True,
        hessp=lambda x, p: np.asarray(_curvature(x, p, *rest)),
        method="trust-ncg",
        options={"gtol": TOLERANCE * 2 * np.abs(b).max(), "maxiter": _NEWTON_STEPS},
    )
    left = float(np.abs(found.jac).max() / (2 * np.abs(b).max()))
    return found.x.reshape(w.shape), left


@jax.jit
def _value(
    x: Float[Array | np.ndarray, " n"], c: Array, b: Array, strength: Array, penalty: Array
) -> tuple[Float[Array, ""], Float[Array, " n"]]:
    return jax.value_and_grad(lambda x: _loss(x.reshape(b.shape), c, b, strength, penalty))(
        jnp.asarray(x)
    )


@jax.jit
def _curvature(
    x: Float[Array | np.ndarray, " n"],
    p: Float[Array | np.ndarray, " n"],
    c: Array,
    b: Array,
    strength: Array,
    penalty: Array,
) -> Float[Array, " n"]:
    """Returns the Hessian at `x` times `p`."""
    return jax.jvp(
        lambda x: _value(x, c, b, strength, penalty)[1], (jnp.asarray(x),), (jnp.asarray(p),)
    )[1]


@jax.jit
def _least_squares(c: Float[Array, "d d"], b: Float[Array, "a d"]) -> Float[Array, "a d"]:
    values, vectors = jnp.linalg.eigh(c)
    kept = values > NO_VARIANCE * jnp.max(values)
    inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
    turned = jnp.matmul(b, vectors, precision=PRECISION) * inverse[None]
    return jnp.matmul(turned, vectors.T, precision=PRECISION)


def _minimise(
    c: Float[Array, "d d"],
    b: Float[Array, "a d"],
    start: Float[Array, "a d"],
    strength: Float[Array, ""],
    penalty: Int[Array, ""],
) -> tuple[Float[Array, "a d"], Float[Array, ""]]:
    def loss(w: Float[Array, "a d"]) -> Float[Array, ""]:
        return _loss(w, c, b, strength, penalty)

    optimiser = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def more(carry: tuple) -> Array:
        return (carry[2] > TOLERANCE) & (carry[3] < _MAX_STEPS)

    def step(carry: tuple) -> tuple:
        w, state, _, count = carry
        value, gradient = value_and_grad(w, state=state)
        updates, state = optimiser.update(
            gradient, state, w, value=value, grad=gradient, value_fn=loss
        )
        gradient = optax.tree.get(state, "grad")
        return optax.apply_updates(w, updates), state, _left(gradient, b), count + 1

    first = _left(jax.grad(loss)(start), b)
    w, _, gradient, _ = jax.lax.while_loop(more, step, (start, optimiser.init(start), first, 0))
    return w, gradient


def _loss(
    w: Float[Array, "a d"],
    c: Float[Array, "d d"],
    b: Float[Array, "a d"],
    strength: Float[Array, ""],
    penalty: Int[Array, ""],
) -> Float[Array, ""]:
    """The sum of mean squared errors, less what does not depend on `w`, and the penalty."""
    fit = jnp.sum(w * (jnp.matmul(w, c, precision=PRECISION) - 2 * b))
    squares = jnp.sum(jnp.square(w), axis=1, keepdims=True)
    units = w * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))
    rows = jnp.where(penalty == PENALTIES.index("cosine"), units, w)
    gram = jnp.matmul(rows, rows.T, precision=PRECISION)
    eye = jnp.eye(w.shape[0])
    away = jnp.where(penalty == PENALTIES.index("gram"), gram - eye, gram * (1 - eye))
    return fit + strength * jnp.sum(jnp.square(away))


def _left(gradient: Float[Array, "a d"], b: Float[Array, "a d"]) -> Float[Array, ""]:
    """Returns the largest entry of a gradient, relative to that at W = 0 without a penalty."""
    largest = 2 * jnp.max(jnp.abs(b))
    return jnp.max(jnp.abs(gradient)) / jnp.where(largest > 0, largest, 1)

"""Least squares with a penalty on rows that are not orthogonal, for many strengths at once."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxlatent.generators.layers import PRECISION

Penalty = Literal["gram", "offdiag", "cosine"]
PENALTIES = ("gram", "offdiag", "cosine")
_TOLERANCE = 1e-7  # of the gradient, relative to that of the map to nothing
_MAX_STEPS = 2000
_NO_VARIANCE = 1e-12


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


@jax.jit
def _least_squares(c: Float[Array, "d d"], b: Float[Array, "a d"]) -> Float[Array, "a d"]:
    values, vectors = jnp.linalg.eigh(c)
    kept = values > _NO_VARIANCE * jnp.max(values)
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
        return (carry[2] > _TOLERANCE) & (carry[3] < _MAX_STEPS)

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

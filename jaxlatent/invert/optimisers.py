"""One update of many images' variables at once, none of which sees another's."""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Kind = Literal["adam", "sgd", "sphere", "lbfgs"]


def transformation(kind: Kind, betas: tuple[float, float]) -> Any:
    """Returns the optax transformation of an optimiser; its rate is applied by `update`."""
    if kind == "lbfgs":
        return optax.lbfgs()
    return optax.identity() if kind == "sgd" else optax.scale_by_adam(*betas)


def begin(kind: Kind, betas: tuple[float, float], variables: Any) -> Any:
    """Returns the optimiser's state, for each image its own."""
    return jax.vmap(transformation(kind, betas).init)(variables)


def update(
    kind: Kind,
    betas: tuple[float, float],
    loss: Any,
    variables: Any,
    gradient: Any,
    state: Any,
    value: Float[Array, " n"],
    rate: Float[Array, ""],
) -> tuple[Any, Any]:
    """Returns the variables after one step, and the optimiser's state.

    Args:
        kind: "adam"; "sgd"; "sphere", Adam that keeps the length of every row of a code; or
            "lbfgs", whose line search finds its own rate.
        betas: of Adam.
        loss: function of one image's number and its variables to its loss, for the line search.
        variables: code and noise maps of each image.
        gradient: of the images' losses.
        state: the optimiser's.
        value: each image's loss.
        rate: the learning rate.
    """
    step = partial(_step, transformation(kind, betas), kind, loss, rate)
    numbers = jnp.arange(value.shape[0])
    return jax.vmap(step)(numbers, variables, gradient, state, value)


def _step(
    optimiser: Any,
    kind: Kind,
    loss: Any,
    rate: Array,
    number: Array,
    variables: Any,
    gradient: Any,
    state: Any,
    value: Array,
) -> tuple[Any, Any]:
    if kind == "lbfgs":
        change, state = optimiser.update(
            gradient, state, variables, value=value, grad=gradient, value_fn=partial(loss, number)
        )
        return optax.apply_updates(variables, change), state
    code = variables["code"]
    change, state = optimiser.update(gradient, state)
    after = jax.tree.map(lambda x, d: x - rate * d, variables, change)
    if kind == "sphere":
        after = after | {"code": _with_length(after["code"], code)}
    return after, state


def _with_length(x: Float[Array, "m d"], like: Float[Array, "m d"]) -> Float[Array, "m d"]:
    lengths = [jnp.linalg.norm(rows, axis=1, keepdims=True) for rows in (like, x)]
    return x * lengths[0] / jnp.maximum(lengths[1], 1e-12)

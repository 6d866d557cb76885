"""Which steps of a generator an edit leaves alone: all before the first that reads what moves."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from jaxlatent.generators import Generator


def untouched_steps(generator: Generator, moving: Bool[np.ndarray, "L d"]) -> int:
    """Returns how many of the first steps do not read any of the numbers that move.

    What `prepare` makes of a code with NaN in their places tells what of it depends on them; the
    traced steps tell which of them takes that. NaN passes through all arithmetic, even times 0;
    `prepare` only multiplies, adds and normalises, so that no dependence is missed.

    Args:
        generator: the generator.
        moving: true for the numbers of a code that move.

    Returns:
        0 if the state before the first step depends on them; `num_steps` if none is read.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((4, 4, 4), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> generator = StyleGAN2(config, rngs=nnx.Rngs(0))
        >>> rows = np.arange(generator.num_layers)[:, None] >= 4
        >>> untouched_steps(generator, np.repeat(rows, 8, axis=1))
        4
    """
    classes = generator.num_classes
    label = jnp.zeros((1, classes)) if classes else None
    code = np.where(moving, np.float32(np.nan), np.float32(0))[None]
    inputs = jax.eval_shape(_prepared, generator, code, label)
    leaves, tree = jax.tree.flatten(inputs)
    spoilt = _spoilt(generator, code, label)
    reached = {i for i, bad in enumerate(spoilt) if bad}

    def uses(function: Any, *others: Any) -> tuple[bool, Any]:
        """Tells whether a part of the network takes what moves, and the shape of its result."""

        def flat(leaves: Any, *others: Any) -> Any:
            return function(jax.tree.unflatten(tree, leaves), *others)

        closed, shape = jax.make_jaxpr(flat, return_shape=True)(leaves, *others)
        jaxpr = closed.jaxpr
        read = {id(v) for equation in jaxpr.eqns for v in equation.invars}
        read |= {id(v) for v in jaxpr.outvars}
        return any(id(jaxpr.invars[i]) in read for i in reached), shape

    touched, state = uses(generator.start)
    if touched:
        return 0
    for index in range(generator.num_steps):
        touched, after = uses(lambda inputs, s, i=index: generator.step(i, s, inputs), state)
        if touched:
            return index
        state = after
    return generator.num_steps


def _prepared(generator: Generator, code: Array, label: Array | None) -> Any:
    return generator.prepare(code, "none", None, label)


@jax.jit
def _spoilt(generator: Generator, code: Array, label: Array | None) -> list[Array]:
    """Tells of each array that the steps read whether it holds a NaN."""
    return [jnp.isnan(x).any() for x in jax.tree.leaves(_prepared(generator, code, label))]

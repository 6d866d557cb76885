"""Where an inversion starts."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxlatent.generators import Generator
from jaxlatent.invert.loop import normalised
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.work import Variables, Work

_MAPS = 1 << 30  # folds the key of noise maps, beyond the numbers of steps


def start(recipe: Recipe, work: Work, codes: Any = None) -> Variables:
    """Returns the variables that a run begins with.

    Args:
        recipe: where to start, and in which space.
        work: the generator, keys and classes.
        codes: where to start instead, [n, m, d] in the recipe's space.
    """
    generator, n = work.generator, work.keys.shape[0]
    rows, width = generator.spaces[recipe.space]
    if codes is not None:
        code = codes if recipe.chart is None else recipe.chart.inverse(codes)
    elif recipe.start == "sample" and recipe.chart is not None:
        code = _normal(work.keys, (rows, width))
    elif recipe.start == "sample":
        code = sampled(generator, work.keys, work.label, recipe.space)
    elif recipe.chart is not None or recipe.space == "z":
        code = jnp.zeros((n, rows, width))
    else:
        mean = generator.code_mean if rows > 1 else generator.code_mean.mean(0, keepdims=True)
        code = jnp.broadcast_to(mean[None], (n, rows, width))
    noise: tuple[Array, ...] = ()
    if recipe.noise == "optimise":
        noise = _maps(work.keys, generator.noise_sides)
    label = None
    if recipe.classes:
        even = jnp.full((n, generator.num_classes), 1 / generator.num_classes)
        label = even if work.label is None else jnp.array(work.label)
    return {"code": jnp.array(code), "noise": noise, "label": label}


@partial(jax.jit, static_argnames="space")
def sampled(generator: Generator, keys: Array, label: Any, space: str) -> Float[Array, "n m d"]:
    """Returns random codes of a space, one for each key."""
    z = generator.sample_z(keys, keys.shape[0])
    if space == "z":
        return z[:, None]
    codes = generator.broadcast(generator.map(z, label))
    return codes if space == "w+" else codes[:, :1]


def rendered(
    generator: Generator, code: Float[Array, "n m d"], space: str
) -> Float[Array, "n h w c"]:
    """Returns what codes of z, w or w+ are rendered to."""
    if space != "w+":
        w = generator.map(code[:, 0]) if space == "z" else code[:, 0]
        code = generator.broadcast(w)
    return generator.synthesize(code)


@partial(jax.jit, static_argnames="shape")
def _normal(keys: Key[Array, " n"], shape: tuple[int, ...]) -> Float[Array, "n *m"]:
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


@partial(jax.jit, static_argnames="sides")
def _maps(keys: Key[Array, " n"], sides: tuple[int, ...]) -> tuple[Float[Array, "n _ _"], ...]:
    ends = np.cumsum([side * side for side in sides])
    folded = jax.vmap(jax.random.fold_in, (0, None))(keys, _MAPS)
    parts = jnp.split(_normal(folded, (int(ends[-1]),)), ends[:-1], axis=1)
    return tuple(
        normalised(p.reshape(-1, side, side)) for p, side in zip(parts, sides, strict=True)
    )

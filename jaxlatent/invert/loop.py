"""The one loop of all inversions: a batch of images, each with variables of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxlatent.generators import Generator
from jaxlatent.invert import optimisers
from jaxlatent.invert.losses import View, total
from jaxlatent.invert.recipe import Recipe

_ROW_OF = {"z": 1, "w": 1, "s": 1}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Work:
    """What stays the same over a run; an argument of the compiled step.

    Attributes:
        generator: the generator.
        targets: images to be inverted.
        keys: a key for each image.
        label: classes, one for each image, of a conditional generator.
        terms: of the recipe, as pytrees.
        deviation: of w, the unit of the noise added to codes.
    """

    generator: Generator
    targets: Float[Array, "n h w c"]
    keys: Key[Array, " n"]
    label: Any
    terms: Sequence[tuple[Any, Any]]
    deviation: Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Progress:
    """All that a later step depends on.

    Attributes:
        step: steps done.
        variables: "code" [n, m, d] and "noise", a tuple of maps.
        moments: the optimiser's state.
        best: the variables of the least loss so far.
        least: that loss.
        done: whether an image's loss was small enough.
    """

    step: Int[Array, ""]
    variables: dict[str, Any]
    moments: Any
    best: dict[str, Any]
    least: Float[Array, " n"]
    done: Array


def as_codes(generator: Generator, code: Array, space: str, label: Any) -> Float[Array, "n L d"]:
    """Returns codes with a row for each layer from what is optimised."""
    if space == "z":
        return generator.broadcast(generator.map(code[:, 0], label))
    return generator.broadcast(code[:, 0]) if space in _ROW_OF else code


def _losses(
    work: Work, variables: dict[str, Any], noise: Any, space: str
) -> tuple[Float[Array, " n"], Float[Array, "t n"]]:
    codes = as_codes(work.generator, variables["code"], space, work.label)
    maps = variables["noise"]
    images = work.generator.synthesize(codes, maps or noise, label=work.label)
    view = View(images, work.targets, variables["code"], codes, maps)
    return total(work.terms, view)


def _one_loss(
    work: Work, noise: Any, space: str, number: Array, variables: dict[str, Any]
) -> Float[Array, ""]:
    """Returns one image's loss, for a line search."""
    label = None if work.label is None else work.label[number][None]
    one = Work(
        work.generator, work.targets[number][None], work.keys[number][None], label, work.terms,
        work.deviation,
    )  # fmt: skip
    return _losses(one, jax.tree.map(lambda leaf: leaf[None], variables), noise, space)[0][0]


def begin(recipe: Recipe, variables: dict[str, Any]) -> Progress:
    """Returns the state before the first step."""
    n = variables["code"].shape[0]
    moments = optimisers.begin(recipe.optimiser, recipe.betas, variables)
    least = jnp.full(n, jnp.inf)
    copy = jax.tree.map(jnp.copy, variables)
    return Progress(jnp.int32(0), variables, moments, copy, least, jnp.zeros(n, bool))


def step(recipe: Recipe, work: Work, state: Progress) -> tuple[Progress, Float[Array, " n"]]:
    """Measures the variables, keeps the best, and moves those that are not done.

    Returns:
        The next state, and each image's loss before the step.
    """
    return _step(
        work,
        state,
        (recipe.schedule, recipe.steps, recipe.space, recipe.optimiser, recipe.betas),
        recipe.noise,
        recipe.enough,
    )


@partial(jax.jit, static_argnames=("how", "noise", "enough"), donate_argnames="state")
def _step(
    work: Work, state: Progress, how: tuple[Any, ...], noise: Any, enough: float | None
) -> tuple[Progress, Float[Array, " n"]]:
    schedule, steps, space, kind, betas = how
    time = state.step / steps
    variables = state.variables
    shift = jnp.zeros(())
    if schedule.noise:
        deviation = schedule.noise_at(time) * work.deviation
        keys = jax.vmap(jax.random.fold_in, (0, None))(work.keys, state.step)
        shape = variables["code"].shape[1:]
        shift = deviation * jax.vmap(lambda key: jax.random.normal(key, shape))(keys)

    def objective(variables: dict[str, Any]) -> tuple[Array, Array]:
        losses, _ = _losses(work, variables | {"code": variables["code"] + shift}, noise, space)
        return losses.sum(), losses

    gradient, losses = jax.grad(objective, has_aux=True)(variables)
    better = losses < state.least
    best = _chosen(better, variables, state.best)
    done = state.done if enough is None else state.done | (losses < enough)
    after, moments = optimisers.update(
        kind,
        betas,
        partial(_one_loss, work, noise, space),
        variables,
        gradient,
        state.moments,
        losses,
        schedule.rate_at(time),
    )
    after["noise"] = tuple(map(normalised, after["noise"]))
    last = state.step >= steps
    still = done | last
    return Progress(
        state.step + 1,
        _chosen(still, variables, after),
        moments,
        best,
        jnp.minimum(losses, state.least),
        done,
    ), losses


def _chosen(which: Array, yes: Any, no: Any) -> Any:
    """Returns for each image the leaves of one tree or of the other."""

    def pick(a: Array, b: Array) -> Array:
        return jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, yes, no)


def normalised(noise: Float[Array, "n h w"]) -> Float[Array, "n h w"]:
    """Shifts and scales each map to mean 0 and deviation 1."""
    centred = noise - noise.mean((1, 2), keepdims=True)
    square = jnp.square(centred).mean((1, 2), keepdims=True)
    return centred * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


def start(
    recipe: Recipe, generator: Generator, keys: Key[Array, " n"], label: Any, codes: Any = None
) -> dict[str, Any]:
    """Returns the variables that a run begins with.

    Args:
        recipe: where to start, and in which space.
        generator: the generator.
        keys: a key for each image.
        label: classes, which w of a conditional generator depends on.
        codes: where to start instead, in the recipe's space, [n, d] or [n, m, d].
    """
    n = keys.shape[0]
    rows, width = generator.spaces[recipe.space]
    if codes is not None:
        code = jnp.asarray(codes, jnp.float32).reshape(n, rows, width)
    elif recipe.start == "sample":
        code = _sampled(generator, keys, label, recipe.space)
    else:
        mean = jnp.zeros((1, width)) if recipe.space == "z" else generator.code_mean
        code = jnp.broadcast_to(mean.reshape(1, -1, width), (n, rows, width))
    noise: tuple[Array, ...] = ()
    if recipe.noise == "optimise":
        noise = _maps(keys, generator.noise_sides)
    return {"code": jnp.array(code), "noise": noise}


@partial(jax.jit, static_argnames="space")
def _sampled(generator: Generator, keys: Array, label: Any, space: str) -> Float[Array, "n m d"]:
    z = generator.sample_z(keys, keys.shape[0])
    if space == "z":
        return z[:, None]
    codes = generator.broadcast(generator.map(z, label))
    return codes[:, :1] if space in _ROW_OF else codes


@partial(jax.jit, static_argnames="sides")
def _maps(keys: Key[Array, " n"], sides: tuple[int, ...]) -> tuple[Float[Array, "n _ _"], ...]:
    ends = np.cumsum([side * side for side in sides])
    one = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, -1), (int(ends[-1]),)))
    parts = jnp.split(one(keys), ends[:-1], axis=1)
    return tuple(
        normalised(p.reshape(-1, side, side)) for p, side in zip(parts, sides, strict=True)
    )

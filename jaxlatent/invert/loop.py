"""The one loop of all inversions: a batch of images, each with variables of its own."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxlatent.invert import optimisers
from jaxlatent.invert.losses import total
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.schedules import Schedule
from jaxlatent.invert.work import Variables, Work


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Progress:
    """All that a later step depends on.

    Attributes:
        step: steps done.
        variables: what is optimised.
        moments: the optimiser's state.
        best: the variables of the least loss so far.
        least: that loss.
        done: whether an image's loss was small enough.
    """

    step: Int[Array, ""]
    variables: Variables
    moments: Any
    best: Variables
    least: Float[Array, " n"]
    done: Array


def begin(recipe: Recipe, variables: Variables) -> Progress:
    """Returns the state before the first step."""
    n = variables["code"].shape[0]
    moments = optimisers.begin(recipe.optimiser, recipe.betas, variables)
    copy = jax.tree.map(jnp.copy, variables)
    return Progress(
        jnp.int32(0), variables, moments, copy, jnp.full(n, jnp.inf), jnp.zeros(n, bool)
    )


@dataclass(frozen=True)
class How:
    """The numbers of a recipe that a compiled step holds.

    Attributes:
        schedule: of the learning rate and of noise.
        steps: of the whole run.
        optimiser: its kind.
        betas: of Adam.
        radius: of codes.
        maps: how many noise maps move.
        enough: the loss at which an image is done.
    """

    schedule: Schedule
    steps: int
    optimiser: optimisers.Kind
    betas: tuple[float, float]
    radius: float | None
    maps: int | None
    enough: float | None

    @classmethod
    def of(cls, recipe: Recipe) -> "How":
        """Takes them from a recipe."""
        return cls(*(getattr(recipe, name) for name in cls.__dataclass_fields__))


@partial(jax.jit, static_argnames="how", donate_argnames="state")
def step(work: Work, state: Progress, how: How) -> tuple[Progress, Float[Array, " n"]]:
    """Measures the variables, keeps the best, and moves those that are not done.

    Codes with noise added are measured, but count neither as the best nor as enough.

    Returns:
        The next state, and each image's loss before the step.
    """
    time = state.step / how.steps
    variables = state.variables
    shift, exact = jnp.zeros(()), jnp.array(True)
    if how.schedule.noise:
        amount = how.schedule.noise_at(time)
        exact = amount == 0
        keys = jax.vmap(jax.random.fold_in, (0, None))(work.keys, state.step)
        shape = variables["code"].shape[1:]
        shift = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
        shift = amount * work.deviation * shift

    def objective(variables: Variables) -> tuple[Array, Array]:
        losses, _ = total(work.terms, work.view(variables | {"code": variables["code"] + shift}))
        return losses.sum(), losses

    gradient, losses = jax.grad(objective, has_aux=True)(variables)
    better = exact & (losses < state.least)
    best = _chosen(better, variables, state.best)
    least = jnp.where(better, losses, state.least)
    done = state.done if how.enough is None else state.done | (exact & (losses < how.enough))
    after, moments = optimisers.update(
        how.optimiser,
        how.betas,
        partial(_one_loss, work),
        variables,
        gradient,
        state.moments,
        losses,
        how.schedule.rate_at(time),
    )
    moving = len(after["noise"]) if how.maps is None else how.maps
    after["noise"] = tuple(
        normalised(new) if i < moving else old
        for i, (new, old) in enumerate(zip(after["noise"], variables["noise"], strict=True))
    )
    if how.radius is not None:
        after["code"] = within(after["code"], how.radius)
    still = done | (state.step >= how.steps)
    after = _chosen(still, variables, after)
    return Progress(state.step + 1, after, moments, best, least, done), losses


def _one_loss(work: Work, number: Array, variables: Variables) -> Float[Array, ""]:
    """Returns one image's loss, for a line search."""

    def own(x: Any) -> Any:
        return None if x is None else x[number][None]

    one = dataclasses.replace(
        work, targets=own(work.targets), keys=own(work.keys), label=own(work.label),
        mask=own(work.mask),
    )  # fmt: skip
    return total(one.terms, one.view(jax.tree.map(lambda leaf: leaf[None], variables)))[0][0]


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


def within(code: Float[Array, "n m d"], radius: float) -> Float[Array, "n m d"]:
    """Shortens the rows that are longer than `radius`.

    Example:
        >>> print(within(jnp.array([[[3.0, 4.0], [0.3, 0.4]]]), 1.0))
        [[[0.6 0.8]
          [0.3 0.4]]]
    """
    square = jnp.square(code).sum(2, keepdims=True)
    return code * jnp.minimum(1, radius * jax.lax.rsqrt(jnp.maximum(square, 1e-12)))

"""Pivotal tuning: the weights follow where the code cannot (PTI, Roich et al. 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.find.samples import argument
from jaxlatent.generators import Generator
from jaxlatent.generators.base import class_weights
from jaxlatent.invert import checks
from jaxlatent.preparation import unprepared
from jaxlatent.sweeps import Progress


@dataclass(frozen=True, eq=False)
class Tuned:
    """A generator for each image, which renders it from its pivot.

    Attributes:
        generators: one for each image.
        images: what they render.
        distance: perceptual distance of each at its last step.
        steps: that each was trained.
    """

    generators: tuple[Generator, ...]
    images: Float[np.ndarray, "n h w c"]
    distance: Float[np.ndarray, " n"]
    steps: tuple[int, ...]


def tune(
    generator: Generator,
    images: Float[Array | np.ndarray, "n h w c"],
    codes: Float[Array | np.ndarray, "n L d"],
    distance: Any,
    *,
    steps: int = 350,
    rate: float = 3e-4,
    enough: float = 0.06,
    noise: Sequence[Any] = (),
    label: Any = None,
    progress: Progress | None = None,
) -> Tuned:
    """Trains a copy of the generator for each image, from a pivot that stays, by Adam.

    Minimises squared pixels plus a perceptual distance.

    Args:
        generator: the generator, which is not changed; what `prepare` computed of it is not used.
        images: of its size, in [-1, 1].
        codes: the pivots, such as `codes` of an inversion by the preset "pti".
        distance: of images; the published one is LPIPS with AlexNet.
        steps: at most.
        rate: the learning rate.
        enough: the distance at which an image is done.
        noise: maps [n, r, r] that belong to the pivots; empty for the generator's own.
        label: classes, one for each image, if the synthesis reads them.
        progress: called with the steps done and their number.

    Raises:
        UserError: if images, codes, noise or labels do not fit the generator.

    References:
        Roich et al. 2021, arXiv:2106.05744.
    """
    targets = jnp.asarray(checks.images(generator, images))
    codes = jnp.asarray(codes)
    generator.check_codes(codes)
    n = targets.shape[0]
    if codes.shape[0] != n:
        raise UserError(f"a pivot is needed for each of the {n} images, got {codes.shape[0]}")
    sides = [tuple(np.shape(maps)) for maps in noise]
    if noise and sides != [(n, side, side) for side in generator.noise_sides]:
        raise UserError(f"noise must be maps of {list(generator.noise_sides)} for each image")
    if label is not None:
        label = class_weights(label, n, generator.num_classes)
    if steps < 1 or not rate > 0:
        raise UserError(f"steps must be at least 1 and rate positive, got {steps} and {rate}")
    split: Any = nnx.split(unprepared(generator), nnx.Param, ...)
    graph, weights, others = split
    measure = argument(distance)
    tuned, rendered, distances, counts = [], [], [], []
    for i in range(n):
        maps = [jnp.asarray(m)[i : i + 1] for m in noise]
        own = None if label is None else jnp.asarray(label)[i : i + 1]
        target = targets[i : i + 1], codes[i : i + 1], maps, own
        state, count = (weights, optax.scale_by_adam().init(weights)), 0
        for step in range(steps):
            state, far = _step(
                graph, state, others, target, measure, jnp.float32(rate), jnp.float32(enough)
            )
            if progress is not None:
                progress(i * steps + step + 1, n * steps)
            if float(far) <= enough:
                break
            count += 1
        image, far = _measured(graph, state[0], others, target, measure)
        tuned.append(nnx.merge(graph, state[0], others))
        rendered.append(np.asarray(image))
        distances.append(float(far[0]))
        counts.append(count)
    if progress is not None:
        progress(n * steps, n * steps)
    return Tuned(
        tuple(tuned), np.concatenate(rendered), np.array(distances, np.float32), tuple(counts)
    )


@partial(jax.jit, static_argnames="graph")
def _measured(
    graph: Any, weights: Any, others: Any, target: Any, distance: Any
) -> tuple[Float[Array, "1 h w c"], Float[Array, " 1"]]:
    wanted, code, maps, label = target
    image = nnx.merge(graph, weights, others).synthesize(code, maps or "const", label=label)
    return image, distance(image, wanted)


@partial(jax.jit, static_argnames="graph")
def _step(
    graph: Any, state: Any, others: Any, target: Any, distance: Any, rate: Array, enough: Array
) -> tuple[Any, Float[Array, ""]]:
    """Returns the weights after a step, if there is still something to do, and the distance."""
    weights, moments = state

    def loss(weights: Any) -> tuple[Array, Array]:
        image, far = _measured(graph, weights, others, target, distance)
        return jnp.square(image - target[0]).mean() + far[0], far[0]

    gradient, far = jax.grad(loss, has_aux=True)(weights)
    change, moments = optax.scale_by_adam().update(gradient, moments)
    moved = jax.tree.map(lambda w, d: jnp.where(far <= enough, w, w - rate * d), weights, change)
    return (moved, moments), far

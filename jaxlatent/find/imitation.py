"""How well moved codes imitate an image transformation: what steerability's walks minimise."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples, argument
from jaxlatent.find.training import Training, measure
from jaxlatent.find.transforms import TRANSFORMS, Transform

Distance = Callable[[Any, Any], Any]  # images and images -> one number for each pair
Move = Callable[[Array, Array], tuple[Array, Array]]
_MEASURED = 128  # samples, of which the share explained is taken


def squared_difference(
    a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]
) -> Float[Array, " n"]:
    """Returns the mean squared difference of each pair of images."""
    return jnp.mean(jnp.square(a - b), axis=(1, 2, 3))


def named_transforms(transforms: Mapping[str, Transform] | Sequence[str]) -> dict[str, Transform]:
    """Returns the transformations by name."""
    if isinstance(transforms, Mapping):
        found = dict(transforms)
    else:
        unknown = [name for name in transforms if name not in TRANSFORMS]
        if unknown:
            raise UserError(
                f"no transformation {', '.join(map(repr, unknown))}; there are "
                f"{', '.join(TRANSFORMS)}, or give your own `Transform`s by name"
            )
        found = {name: TRANSFORMS[name] for name in transforms}
    if not found:
        raise UserError("give at least one transformation")
    return found


def imitation(samples: Samples, transform: Transform, distance: Distance) -> Any:
    """Returns what a training reads, once it is clear that transform and distance fit."""
    apply, measure = argument(transform.apply), argument(distance)
    images = jax.eval_shape(lambda s: s.render(*s.at(jnp.zeros(2, jnp.int32))), samples)
    amounts = jax.ShapeDtypeStruct((2,), jnp.float32)
    result = jax.eval_shape(lambda f, x, a: f(x, a), apply, images, amounts)
    shapes = [getattr(part, "shape", None) for part in jax.tree.leaves(result)]
    if shapes != [images.shape, (*images.shape[:3], 1)]:
        raise UserError(
            f"a transformation of images {list(images.shape)} must return as many, and a mask "
            f"{[*images.shape[:3], 1]}; it returned {shapes}"
        )
    numbers = jax.eval_shape(lambda f, x: f(x, x), measure, images)
    if getattr(numbers, "shape", None) != (2,):
        raise UserError(
            f"a distance must return one number for each pair; for 2 it returned {numbers}"
        )
    return samples, apply, measure, jnp.float32(transform.low), jnp.float32(transform.high)


def imitation_loss(context: Any, keys: Array, move: Move) -> Array:
    """Returns the mean distance between moved and transformed images.

    Args:
        context: of the training.
        keys: one for each sample.
        move: function of codes and random numbers in [0, 1) to moved codes and amounts.
    """
    samples, apply, distance, _, _ = context
    index, uniform = samples.draw(keys, 1)
    codes, label = samples.at(index)
    moved, amounts = move(codes, uniform[:, 0])
    images = jax.lax.stop_gradient(samples.render(codes, label))
    target, mask = apply(images, amounts)
    return jnp.mean(distance(mask * samples.render(moved, label), mask * target))


def share_explained(
    loss: Callable[[Any, Any, Any], Array],
    walk: Any,
    context: Any,
    key: Array,
    training: Training,
) -> Float[np.ndarray, ""]:
    """Returns which share of the loss of standing still a walk removes, on fresh samples."""
    still = jax.tree.map(np.zeros_like, walk)
    before, after = (
        np.mean(measure(loss, w, context, key, training, _MEASURED)) for w in (still, walk)
    )
    return np.asarray(1 - after / np.where(before > 0, before, 1), np.float32)

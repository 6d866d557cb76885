"""Walks trained to imitate an image transformation: Jahanian et al., arXiv:1907.07171."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.training import (
    Samples,
    Training,
    argument,
    base_key,
    learned,
    measure,
    start_values,
    tenths,
    train,
    with_length_of,
)
from jaxlatent.find.transforms import TRANSFORMS, Transform
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.layers import dense
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress

SIGN_ANCHOR = "the transformation's amount grows"
Distance = Callable[[Any, Any], Any]  # images and images -> one number for each pair
_Move = Callable[[Array, Array], tuple[Array, Array]]
_MEASURED = 128  # samples, of which the share explained is taken


def squared_difference(
    a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]
) -> Float[Array, " n"]:
    """Returns the mean squared difference of each pair of images."""
    return jnp.mean(jnp.square(a - b), axis=(1, 2, 3))


def steerability(
    generator: Generator,
    codes: Float[Any, "n L d"],
    transforms: Mapping[str, Transform] | Sequence[str],
    *,
    key: AnyKey,
    training: Training | None = None,
    distance: Distance = squared_difference,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    progress: Progress | None = None,
) -> Directions:
    r"""Trains a straight walk in the codes for each image transformation.

    Minimises $d(m \cdot G(w + \alpha\theta), m \cdot T(G(w), \alpha))$ over codes and amounts
    $\alpha$, with the mask m of the pixels that T knows. Each walk is trained by itself.

    Args:
        generator: the generator.
        codes: what training draws from, a row for each layer.
        transforms: transformations by name, or names out of `TRANSFORMS`.
        key: randomness; the same key gives the same walks.
        training: how long and how fast, for each walk; by default `Training()`.
        distance: differentiable function of two batches of images, already masked, to one number
            for each pair; an `LPIPS` is one.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        progress: called with the steps done and their number, for each walk.

    Returns:
        Unit `vectors`; an edit by 1 is to do what the transformation does for an amount of 1
        (`scale` is the walk's length). `scores` are the shares of the distance between images
        and transformed images that the walks remove, at most 1.

    Raises:
        UserError: if something does not fit, or the loss stops being finite.

    References:
        Jahanian, Chai and Isola, "On the 'Steerability' of Generative Adversarial Networks",
        ICLR 2020, arXiv:1907.07171.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, key = DCGAN(config, rngs=nnx.Rngs(0)), jax.random.key(0)
        >>> walks = steerability(
        ...     generator, jnp.ones((4, 1, 2)), ["zoom"], key=key, training=Training(2)
        ... )
        >>> walks.names
        ('zoom',)
    """
    training = training or Training()
    samples = Samples.of(generator, codes, label, layers)
    chosen = _chosen(transforms)
    contexts = [_context(samples, transform, distance) for transform in chosen.values()]
    key = base_key(key)
    shape = (1, samples.rows(shared), samples.codes.shape[2])
    start = jnp.zeros(shape)
    walks, shares, losses = [], [], {}
    for (name, transform), context in zip(chosen.items(), contexts, strict=True):
        walk, history = train(_linear_loss, start, context, key, training, progress, isotropic=True)
        walks.append(np.asarray(walk) / max(transform.high, -transform.low))
        shares.append(_share(_linear_loss, walk, context, key, training))
        losses[name] = tenths(history)
    return learned(
        samples,
        np.concatenate(walks),
        np.stack(shares),
        list(chosen),
        layers,
        method="steerability",
        sign_anchor=SIGN_ANCHOR,
        parameters={
            **vars(training),
            "amounts": {name: [t.low, t.high] for name, t in chosen.items()},
            "shared": shared,
            "losses": losses,
        },
    )


def _chosen(transforms: Mapping[str, Transform] | Sequence[str]) -> dict[str, Transform]:
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


def _context(samples: Samples, transform: Transform, distance: Distance) -> Any:
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


def _cost(context: Any, keys: Array, move: _Move) -> Array:
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


def _linear_loss(walk: Float[Array, "1 m d"], context: Any, keys: Array) -> Float[Array, ""]:
    samples, _, _, low, high = context

    def move(codes: Array, uniform: Array) -> tuple[Array, Array]:
        amounts = low + (high - low) * uniform
        parts = (amounts / jnp.maximum(high, -low))[:, None, None]
        return codes + parts * samples.place(walk), amounts

    return _cost(context, keys, move)


def _share(
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


def _small(numbers: Float[np.ndarray, "*s"], inputs: int) -> Float[Array, "*s"]:
    """Returns starting values of length 0.1 for unit inputs."""
    return jnp.asarray(0.1 * numbers / np.sqrt(inputs), jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class NonlinearWalk:
    """A walk by small steps, each the output of a network: one forward, one backward.

    A step adds to every row of a code that may move what a network of two layers makes of it.

    Attributes:
        inner: matrix [2, d, hidden] of each direction's network, forward and backward.
        inner_bias: [2, hidden].
        outer: [2, hidden, d].
        outer_bias: [2, d].
        layers: numbers of the layers that move.
        keep_norm: 1 if rows are scaled back to their length after each step.
        share: share of the distance that the walk removes, see `steerability`.
        steps: how many steps it was trained for, each way.
        forward: amount of the transformation for a step forward.
        backward: amount for a step backward, at most 0.
        losses: mean losses of ten stretches of the training.
    """

    inner: Float[Array, "2 d hidden"]
    inner_bias: Float[Array, "2 hidden"]
    outer: Float[Array, "2 hidden d"]
    outer_bias: Float[Array, "2 d"]
    layers: Int[Array, " m"]
    keep_norm: Float[Array, ""]
    share: Float[Array, ""]
    steps: int = field(metadata={"static": True})
    forward: float = field(metadata={"static": True})
    backward: float = field(metadata={"static": True})
    losses: tuple[float, ...] = field(default=(), metadata={"static": True})

    def __call__(self, codes: Float[Array, "n L d"], steps: int) -> Float[Array, "n L d"]:
        """Walks a number of steps, backward if it is negative."""
        counts = jnp.full(codes.shape[0], steps)
        return self.walk(codes, counts, abs(steps))

    def walk(
        self, codes: Float[Array, "n L d"], counts: Int[Array, " n"], most: int
    ) -> Float[Array, "n L d"]:
        """Walks a number of steps of its own from each code, `most` at most."""
        for i in range(most):
            on = (i < jnp.abs(counts))[:, None, None]
            codes = jnp.where(on, self._step(codes, (counts < 0).astype(jnp.int32)), codes)
        return codes

    def _step(self, codes: Float[Array, "n L d"], way: Int[Array, " n"]) -> Float[Array, "n L d"]:
        rows = codes[:, self.layers]
        n, m, d = rows.shape
        flat, found = rows.reshape(n * m, d), []
        for i in (0, 1):
            hidden = jax.nn.relu(dense(flat, self.inner[i], self.inner_bias[i]))
            found.append(dense(hidden, self.outer[i], self.outer_bias[i]).reshape(n, m, d))
        moved = rows + jnp.where(way[:, None, None] > 0, found[1], found[0])
        moved = jnp.where(self.keep_norm > 0, with_length_of(rows, moved), moved)
        return codes.at[:, self.layers].set(moved)


def nonlinear_steerability(
    generator: Generator,
    codes: Float[Any, "n L d"],
    transform: Transform | str,
    *,
    key: AnyKey,
    steps: int = 3,
    hidden: int | None = None,
    keep_norm: bool = True,
    training: Training | None = None,
    distance: Distance = squared_difference,
    layers: Sequence[int] | None = None,
    label: Labels | None = None,
    progress: Progress | None = None,
) -> NonlinearWalk:
    """Trains a walk by steps that depend on where it is; arguments as of `steerability`.

    Args:
        generator: the generator.
        codes: what training draws from, a row for each layer.
        transform: a transformation, or a name out of `TRANSFORMS`; its smallest and largest
            amounts are reached after `steps` steps.
        key: randomness.
        steps: number of steps each way.
        hidden: width of the networks' middle layer; `None` for that of a code.
        keep_norm: whether rows keep their length, as fits a z drawn from a normal distribution;
            `False` for W.
        training: how long and how fast; by default `Training()`.
        distance: of masked images.
        layers: the layers that may move; `None` for all.
        label: classes, if the synthesis reads them.
        progress: called with the steps done and their number.

    Raises:
        UserError: if something does not fit, or the loss stops being finite.

    References:
        Jahanian, Chai and Isola, "On the 'Steerability' of Generative Adversarial Networks",
        ICLR 2020, arXiv:1907.07171.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, key = DCGAN(config, rngs=nnx.Rngs(0)), jax.random.key(0)
        >>> codes = jnp.ones((4, 1, 2))
        >>> walk = nonlinear_steerability(generator, codes, "zoom", key=key, training=Training(2))
        >>> walk(codes, -3).shape
        (4, 1, 2)
    """
    training = training or Training()
    samples = Samples.of(generator, codes, label, layers)
    chosen = transform if isinstance(transform, Transform) else _chosen([transform])[transform]
    width = samples.codes.shape[2]
    middle = width if hidden is None else hidden
    if steps < 1 or middle < 1:
        raise UserError(f"steps and hidden must be at least 1, got {steps} and {middle}")
    context = _context(samples, chosen, distance)
    key = base_key(key)
    normal = start_values(key).standard_normal
    start = {
        "inner": 10 * _small(normal((2, width, middle)), width),
        "inner_bias": jnp.zeros((2, middle)),
        "outer": _small(normal((2, middle, width)), middle),
        "outer_bias": jnp.zeros((2, width)),
    }

    def walk(parameters: Any, share: Any, **fields: Any) -> NonlinearWalk:
        return NonlinearWalk(
            **parameters,
            layers=samples.layers,
            keep_norm=jnp.float32(keep_norm),
            share=jnp.asarray(share, jnp.float32),
            steps=steps,
            forward=chosen.high / steps,
            backward=chosen.low / steps,
            **fields,
        )

    whole = (context, walk(start, 0))
    parameters, history = train(_walk_loss, start, whole, key, training, progress)
    share = _share(_walk_loss, parameters, whole, key, training)
    return walk(parameters, share, losses=tuple(tenths(history)))


def _walk_loss(parameters: Any, whole: Any, keys: Array) -> Float[Array, ""]:
    context, walk = whole
    low, high = context[3:]
    own = NonlinearWalk(**(vars(walk) | parameters))

    def move(codes: Array, uniform: Array) -> tuple[Array, Array]:
        both = (low < 0) & (high > 0)
        first = jnp.where(low < 0, -walk.steps, 1)
        count = jnp.where(both, 2 * walk.steps, walk.steps)
        steps = first + jnp.floor(uniform * count).astype(jnp.int32)
        steps = jnp.where(both & (steps >= 0), steps + 1, steps)
        amounts = steps * jnp.where(steps > 0, high, -low) / walk.steps
        return own.walk(codes, steps, walk.steps), amounts

    return _cost(context, keys, move)

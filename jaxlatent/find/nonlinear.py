"""Walks by small steps of a network, which depend on where they are: arXiv:1907.07171."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.errors import UserError
from jaxlatent.find.imitation import (
    Distance,
    imitation,
    imitation_loss,
    named_transforms,
    share_explained,
    squared_difference,
)
from jaxlatent.find.samples import Samples
from jaxlatent.find.training import Training, base_key, start_values, tenths, train
from jaxlatent.find.transforms import Transform
from jaxlatent.find.walks import with_length_of
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.layers import dense
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress


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
    if isinstance(transform, str):
        transform = named_transforms([transform])[transform]
    width = samples.codes.shape[2]
    middle = width if hidden is None else hidden
    if steps < 1 or middle < 1:
        raise UserError(f"steps and hidden must be at least 1, got {steps} and {middle}")
    context = imitation(samples, transform, distance)
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
            forward=transform.high / steps,
            backward=transform.low / steps,
            **fields,
        )

    whole = (context, walk(start, 0))
    parameters, history = train(_walk_loss, start, whole, key, training, progress)
    share = share_explained(_walk_loss, parameters, whole, key, training)
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

    return imitation_loss(context, keys, move)


def _small(numbers: Float[np.ndarray, "*s"], inputs: int) -> Float[Array, "*s"]:
    """Returns starting values of length 0.1 for unit inputs."""
    return jnp.asarray(0.1 * numbers / np.sqrt(inputs), jnp.float32)

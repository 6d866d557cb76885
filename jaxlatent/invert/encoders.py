"""An encoder for any generator, trained on what the generator itself renders.

Zhu et al. 2016 (arXiv:1609.03552) start an optimisation from such a guess.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxlatent.errors import UserError
from jaxlatent.find.training import Training, base_key, per_index
from jaxlatent.generators import Generator
from jaxlatent.generators.layers import PRECISION
from jaxlatent.invert.resume import Store
from jaxlatent.invert.starts import rendered, sampled
from jaxlatent.keys import AnyKey
from jaxlatent.networks.layers import Conv
from jaxlatent.sweeps import Progress

_MEASURED = 1000  # samples of which codes have their mean and deviation
_SMALLEST = 4  # pixels, at which the convolutions stop halving


class ConvEncoder(nnx.Module):
    """Convolutions that halve an image, and a linear layer that reads a code from what is left.

    Attributes:
        mean: of the codes that it was trained on.
        deviation: of the same; what the layers give is in units of it.

    Example:
        >>> encoder = ConvEncoder((16, 16, 3), (1, 6), 8, rngs=nnx.Rngs(0))
        >>> encoder(jnp.zeros((2, 16, 16, 3))).shape
        (2, 1, 6)
    """

    def __init__(
        self, images: tuple[int, int, int], code: tuple[int, int], width: int, *, rngs: nnx.Rngs
    ) -> None:
        height, across, inputs = *images[:2], images[2]
        convs = []
        while min(height, across) > _SMALLEST:
            convs.append(Conv(inputs, width, 3, 2, 1, bias=True, rngs=rngs))
            height, across = -(-height // 2), -(-across // 2)
            inputs, width = width, min(2 * width, 512)
        self.convs = nnx.List(convs)
        size = height * across * inputs
        start = jax.random.normal(rngs.params(), (size, code[0] * code[1])) / size**0.5
        self.weight = nnx.Param(start)
        self.bias = nnx.Param(jnp.zeros(code[0] * code[1]))
        self.mean = nnx.Variable(jnp.zeros(code))
        self.deviation = nnx.Variable(jnp.ones(code))
        self.shape = code

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n m d"]:
        """Returns a code for each image, in the space that the encoder was made for."""
        x = images
        for conv in self.convs:
            x = jax.nn.leaky_relu(conv(x), 0.2)
        x = x.reshape(x.shape[0], -1)
        x = jnp.matmul(x, self.weight[...], precision=PRECISION) + self.bias[...][None]
        return x.reshape(-1, *self.shape) * self.deviation[...][None] + self.mean[...][None]


@dataclass(frozen=True, eq=False)
class Trained:
    """An encoder with what its training says.

    Attributes:
        encoder: the encoder, a pytree, callable on images.
        space: of its codes.
        history: the loss of every step.
    """

    encoder: ConvEncoder
    space: str
    history: Float[np.ndarray, " steps"]


def train_encoder(
    generator: Generator,
    key: AnyKey,
    space: str = "z",
    training: Training | None = None,
    *,
    width: int = 32,
    pixels: float = 1.0,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Trains an encoder on the generator's own samples, of which there are as many as one likes.

    Minimises the squared error of codes, in deviations, and `pixels` times that of the images
    that the codes are rendered to.

    Args:
        generator: one without classes.
        key: randomness; each sample has a key of its own.
        space: of the codes, "z" or "w".
        training: steps, batch and learning rate; `None` for 2000 steps of 16 samples.
        width: channels of the first convolution; each next one has twice as many, up to 512.
        pixels: weight of the images' error.
        folder: keeps the training's state, so that the same call goes on after an interruption.
        progress: called with the steps done and their number.

    Raises:
        UserError: if the generator has classes or no such space, or the loss stops being finite.
    """
    training = Training(2000, 16, 1e-3) if training is None else training
    if generator.num_classes:
        raise UserError("an encoder is trained for a generator without classes")
    if space not in ("z", "w") or space not in generator.spaces:
        own = ", ".join(name for name in generator.spaces if name in ("z", "w"))
        raise UserError(f"space must be one of {own}, got {space!r}")
    if width < 1 or not 0 <= pixels < float("inf"):
        raise UserError(f"width must be at least 1 and pixels not negative, got {width}, {pixels}")
    key = base_key(key)
    code = generator.spaces[space]
    encoder = ConvEncoder(generator.image_shape, code, width, rngs=nnx.Rngs(key))
    keys = per_index(jax.random.fold_in(key, 1), jnp.arange(_MEASURED))
    sample = sampled(generator, keys, None, space)
    encoder.mean[...] = sample.mean(0)
    encoder.deviation[...] = jnp.maximum(sample.std(0), 1e-6)
    split: Any = nnx.split(encoder, nnx.Param, ...)
    graph, weights, others = split
    optimiser = optax.adam(training.learning_rate)
    run = {"generator": generator, "key": key, "training": training, "space": space}
    run |= {"width": width, "pixels": pixels, "backend": jax.default_backend()}
    part = Store(folder, run).part(0)
    state, losses = part.restored((weights, optimiser.init(weights)))
    data = jax.random.fold_in(key, 2)
    for number in range(len(losses), training.steps):
        keys = per_index(data, number * training.batch + jnp.arange(training.batch))
        state, loss = _step(
            graph, state, others, generator, keys, jnp.float32(training.learning_rate), pixels,
            space,
        )  # fmt: skip
        losses.append(loss)
        part.save_sometimes(state, losses)
        if progress is not None:
            progress(number + 1, training.steps)
    part.save(state, losses)
    history = np.stack([np.asarray(loss) for loss in losses])
    if not np.isfinite(history).all():
        first = int(np.argmin(np.isfinite(history)))
        raise UserError(f"the loss is not finite from step {first} on; lower learning_rate")
    return Trained(nnx.merge(graph, state[0], others), space, history)


@partial(jax.jit, static_argnames=("graph", "space"), donate_argnames="state")
def _step(
    graph: Any,
    state: Any,
    others: Any,
    generator: Generator,
    keys: Key[Array, " n"],
    rate: Array,
    pixels: Array,
    space: str,
) -> tuple[Any, Float[Array, ""]]:
    weights, moments = state
    code = sampled(generator, keys, None, space)
    images = rendered(generator, code, space)

    def loss(weights: Any) -> Array:
        encoder = nnx.merge(graph, weights, others)
        found = encoder(images)
        error = jnp.square((found - code) / encoder.deviation[...][None]).mean()
        return error + pixels * jnp.square(rendered(generator, found, space) - images).mean()

    value, gradient = jax.value_and_grad(loss)(weights)
    change, moments = optax.adam(rate).update(gradient, moments)
    return (optax.apply_updates(weights, change), moments), value

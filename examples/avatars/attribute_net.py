"""A small convolutional network that reads every attribute of an avatar at once."""

from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from examples.avatars.fast_conv import conv3x3
from jaxlatent.generators.layers import bias_act, dense, leaky_relu


@dataclass(frozen=True)
class AttributeNetConfig:
    """What defines an attribute network.

    Attributes:
        sizes: number of values of each category.
        factors: number of continuous factors.
        widths: channels of each stage; every stage halves the resolution.
        depth: residual convolutions of each stage.
        side: an image's side in pixels.
    """

    sizes: tuple[int, ...]
    factors: int
    widths: tuple[int, ...] = (32, 48, 64, 96)
    depth: int = 0
    side: int = 64


def halve(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Averages each 2x2 square of pixels."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def channel_norm(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Scales each pixel's channels to a mean square of 1."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-4)


class Conv(nnx.Module):
    """3x3 convolution and bias."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> None:
        scale = (2 / (9 * inputs)) ** 0.5
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), (3, 3, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        """Applies the layer."""
        return bias_act(conv3x3(x, self.kernel[...]), self.bias[...], "linear")


class Stage(nnx.Module):
    """A convolution, down-sampling, then residual convolutions."""

    def __init__(self, inputs: int, outputs: int, depth: int, *, rngs: nnx.Rngs) -> None:
        self.first = Conv(inputs, outputs, rngs=rngs)
        self.rest = nnx.List([Conv(outputs, outputs, rngs=rngs) for _ in range(depth)])

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Returns features of half the resolution."""
        x = channel_norm(leaky_relu(halve(self.first(x))))
        for layer in self.rest:
            x = channel_norm(x + leaky_relu(layer(x)))
        return x


class AttributeNet(nnx.Module):
    """From images in [-1, 1] to a logit for each value and a number for each factor."""

    def __init__(self, config: AttributeNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.stages = nnx.List(
            [Stage(i, o, config.depth, rngs=rngs) for i, o in pairwise((3, *config.widths))]
        )
        inputs = config.widths[-1] * (config.side >> len(config.widths)) ** 2
        shape = (inputs, sum(config.sizes) + config.factors)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) * 0.1 / inputs**0.5)
        self.bias = nnx.Param(jnp.zeros(shape[1]))

    def features(self, images: Float[Array, "n h w 3"]) -> list[Float[Array, "n _ _ _"]]:
        """Returns the features of every stage, the largest first."""
        states = [images]
        for stage in self.stages:
            states.append(stage(states[-1]))
        return states[1:]

    def embed(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n d"]:
        """Returns one vector for each image: the last features, averaged over its area."""
        return self.features(images)[-1].mean((1, 2))

    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[tuple[Float[Array, "n _"], ...], Float[Array, "n f"]]:
        """Returns the logits of each category, and the factors scaled to [-1, 1]."""
        last = self.features(images)[-1]
        out = dense(last.reshape(last.shape[0], -1), self.kernel[...], self.bias[...])
        bounds = [0]
        for size in self.config.sizes:
            bounds.append(bounds[-1] + size)
        return tuple(out[:, a:b] for a, b in pairwise(bounds)), out[:, bounds[-1] :]

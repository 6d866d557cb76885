"""The discriminator: a narrow network on pixels beside heads on a frozen network's features.

Residual blocks and minibatch deviation as in StyleGAN2 (arXiv:1912.04958); judging fixed features
at several scales as in Sauer et al., "Projected GANs" (arXiv:2111.01007).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from examples.avatars.fast_conv import conv3x3
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.layers import bias_act, dense
from jaxlatent.networks.attributes import halve

_GROUPS = 4  # samples whose deviation is measured together


@dataclass(frozen=True)
class DiscriminatorConfig:
    """What defines a discriminator.

    Attributes:
        pixel_widths: channels of the pixel branch from half the images' side down to 4;
            it begins with the images' 2x2 squares as channels.
        feature_widths: channels of the frozen features that have a head, the largest first.
        head_width: channels of a head.
    """

    pixel_widths: tuple[int, ...] = (32, 48, 64, 64)
    feature_widths: tuple[int, ...] = (32, 48, 64)
    head_width: int = 32


class Conv(nnx.Module):
    """Convolution with an equalised learning rate; 3x3 or 1x1, at stride 1."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, *, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (side, side, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(
        self, x: Float[Array, "n h w i"], activation: str = "lrelu"
    ) -> Float[Array, "n h w o"]:
        """Applies the layer and an activation."""
        kernel = self.kernel[...] / math.sqrt(math.prod(self.kernel.shape[:-1]))
        y = conv3x3(x, kernel) if kernel.shape[0] == 3 else conv(x, kernel, (0, 0))
        return bias_act(y, self.bias[...], activation)


class Judge(nnx.Module):
    """From 4x4 features to a logit, with the minibatch's deviation as one more channel."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.mix = Conv(width + 1, width, rngs=rngs)
        self.hidden = nnx.Param(jax.random.normal(rngs.params(), (16 * width, width)))
        self.hidden_bias = nnx.Param(jnp.zeros(width))
        self.out = nnx.Param(jax.random.normal(rngs.params(), (width, 1)))
        self.out_bias = nnx.Param(jnp.zeros(1))

    def __call__(self, x: Float[Array, "n 4 4 c"]) -> Float[Array, " n"]:
        """Returns one logit for each sample."""
        x = self.mix(jnp.concatenate([x, deviation(x)], axis=-1)).reshape(x.shape[0], -1)
        x = dense(x, self.hidden[...] / math.sqrt(x.shape[1]))
        x = bias_act(x, self.hidden_bias[...], "lrelu")
        return dense(x, self.out[...] / math.sqrt(x.shape[1]), self.out_bias[...]).squeeze(1)


def deviation(x: Float[Array, "n h w c"]) -> Float[Array, "n h w 1"]:
    """Returns for each sample how much its group of samples differs, the same at every pixel."""
    n, h, w, c = x.shape
    size = min(_GROUPS, n)
    groups = x.reshape(size, n // size, h, w, c)
    spread = jnp.sqrt(jnp.var(groups, axis=0) + 1e-8).mean((1, 2, 3))
    return jnp.broadcast_to(jnp.tile(spread, size)[:, None, None, None], (n, h, w, 1))


class Residual(nnx.Module):
    """Two convolutions and a short cut, at half the resolution."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> None:
        self.conv0 = Conv(inputs, inputs, rngs=rngs)
        self.conv1 = Conv(inputs, outputs, rngs=rngs)
        self.skip = Conv(inputs, outputs, 1, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the block."""
        skip = self.skip(halve(x), "linear")
        return (self.conv1(halve(self.conv0(x))) + skip) * math.sqrt(0.5)


class Head(nnx.Module):
    """From one level of features down to a logit."""

    def __init__(self, inputs: int, side: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.first = Conv(inputs, width, 1, rngs=rngs)
        halvings = side.bit_length() - 3
        self.convs = nnx.List([Conv(width, width, rngs=rngs) for _ in range(halvings)])
        self.judge = Judge(width, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, " n"]:
        """Returns one logit for each sample."""
        x = self.first(x)
        for layer in self.convs:
            x = halve(layer(x))
        return self.judge(x)


class Discriminator(nnx.Module):
    """From images and their frozen features to a logit each: is the image real?"""

    def __init__(self, config: DiscriminatorConfig, *, rngs: nnx.Rngs) -> None:
        widths = config.pixel_widths
        self.config = config
        self.first = Conv(12, widths[0], rngs=rngs)
        self.blocks = nnx.List([Residual(i, o, rngs=rngs) for i, o in pairwise(widths)])
        self.judge = Judge(widths[-1], rngs=rngs)
        largest = 4 << (len(widths) - 1)  # features begin at half the images' side
        self.heads = nnx.List(
            [
                Head(inputs, largest >> i, config.head_width, rngs=rngs)
                for i, inputs in enumerate(config.feature_widths)
            ]
        )

    def __call__(
        self, images: Float[Array, "n h w 3"], features: Sequence[Float[Array, "n _ _ _"]]
    ) -> Float[Array, " n"]:
        """Returns half the sum of all branches' logits."""
        n, h, w, c = images.shape
        squares = images.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
        x = self.first(squares.reshape(n, h // 2, w // 2, 4 * c))
        for block in self.blocks:
            x = block(x)
        logits = self.judge(x)
        for head, level in zip(self.heads, features, strict=False):
            logits = logits + head(level)
        return 0.5 * logits

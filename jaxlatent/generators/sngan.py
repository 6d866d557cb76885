"""The residual generator of SNGAN (Miyato et al. 2018, arXiv:1802.05957) and of its successors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.attention import SelfAttention
from jaxlatent.generators.base import (
    MAX_LAYERS,
    MAX_SIDE,
    Labels,
    Noise,
    State,
    check_noise,
)
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import upsample_bilinear
from jaxlatent.generators.kinds import PlainGenerator
from jaxlatent.generators.layers import ACTIVATIONS, dense
from jaxlatent.generators.norms import BatchNorm
from jaxlatent.keys import AnyKey
from jaxlatent.model import Buffer

_EPSILON = 1e-5  # of every batch norm


@dataclass(frozen=True)
class SNGANConfig:
    """Geometry of the generator.

    Attributes:
        z_dim: size of the latent vector.
        bottom_width: side of the first features in pixels; each block doubles it.
        channels: of the first features, then of each block's output.
        img_channels: of the image.
        num_classes: of the conditional batch norms; 0 for plain ones.
        attention: the block after which self-attention follows, from 0; `None` for none.
        output_activation: "tanh", or "sigmoid": images rescaled from [0, 1] to [-1, 1].
    """

    z_dim: int
    bottom_width: int
    channels: tuple[int, ...]
    img_channels: int = 3
    num_classes: int = 0
    attention: int | None = None
    output_activation: str = "tanh"

    def __post_init__(self) -> None:
        if not 2 <= len(self.channels) <= MAX_LAYERS:
            raise UserError(
                f"channels must name the first features and 1 to {MAX_LAYERS - 1} blocks, got "
                f"{len(self.channels)} numbers"
            )
        if min(self.z_dim, self.bottom_width, self.img_channels, *self.channels) < 1:
            raise UserError("sizes must be at least 1")
        if self.num_classes < 0:
            raise UserError(f"num_classes must not be negative, got {self.num_classes}")
        if self.image_size > MAX_SIDE:
            raise UserError(f"images would have {self.image_size} pixels a side, above {MAX_SIDE}")
        if self.attention is not None and not 0 <= self.attention < self.num_blocks:
            raise UserError(
                f"attention must name a block, 0 to {self.num_blocks - 1}, got {self.attention}"
            )
        if self.output_activation not in ("tanh", "sigmoid"):
            raise UserError(
                f"output_activation must be tanh or sigmoid, got {self.output_activation!r}"
            )

    @property
    def num_blocks(self) -> int:
        """Number of residual blocks."""
        return len(self.channels) - 1

    @property
    def image_size(self) -> int:
        """Side of an image in pixels."""
        return self.bottom_width << self.num_blocks


class Inputs(NamedTuple):
    """What the blocks read beside their state: latent vectors, and weights of the classes."""

    z: Float[Array, "n z"]
    weights: Float[Array, "n classes"] | None


class ConditionalNorm(nnx.Module):
    """Batch normalisation with stored statistics, and gain and bias of a mixture of classes."""

    def __init__(self, channels: int, classes: int) -> None:
        self.table = nnx.Param(jnp.tile(jnp.repeat(jnp.array([1.0, 0.0]), channels), (classes, 1)))
        self.mean = Buffer(jnp.zeros(channels))
        self.variance = Buffer(jnp.ones(channels))

    def __call__(
        self, x: Float[Array, "n h w c"], weights: Float[Array, "n classes"]
    ) -> Float[Array, "n h w c"]:
        """Normalises, multiplies by the first half of the classes' row and adds the second."""
        gain, bias = jnp.split(dense(weights, self.table[...])[:, None, None], 2, axis=-1)
        scale = lax.rsqrt(self.variance[...] + _EPSILON)
        mean, scale = (v.astype(x.dtype)[None, None, None] for v in (self.mean[...], scale))
        return (x - mean) * scale * gain + bias


class Conv(nnx.Module):
    """A convolution with a bias that keeps the size."""

    def __init__(self, inputs: int, outputs: int, size: int, *, rngs: nnx.Rngs) -> None:
        shape = (size, size, inputs, outputs)
        self.kernel = nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        """Applies it."""
        pad = (self.kernel.shape[0] - 1) // 2
        bias = self.bias[...].astype(x.dtype)[None, None, None]
        return conv(x, self.kernel[...], (pad, pad)) + bias


class Block(nnx.Module):
    """Residual block that doubles the resolution on both paths; self-attention may follow."""

    def __init__(self, config: SNGANConfig, index: int, *, rngs: nnx.Rngs) -> None:
        inputs, outputs = config.channels[index : index + 2]
        self.norm1 = _norm(inputs, config.num_classes)
        self.conv1 = Conv(inputs, outputs, 3, rngs=rngs)
        self.norm2 = _norm(outputs, config.num_classes)
        self.conv2 = Conv(outputs, outputs, 3, rngs=rngs)
        self.shortcut = Conv(inputs, outputs, 1, rngs=rngs)
        attends = index == config.attention
        self.attention = SelfAttention(outputs, rngs=rngs) if attends else None

    def __call__(
        self, x: Float[Array, "n h w i"], weights: Float[Array, "n classes"] | None
    ) -> Float[Array, "n h2 w2 o"]:
        """Applies the block."""
        y = upsample_bilinear(jax.nn.relu(_normalise(self.norm1, x, weights)))
        y = jax.nn.relu(_normalise(self.norm2, self.conv1(y), weights))
        # the original convolves the shortcut after upsampling: the same, four times the work
        y = self.conv2(y) + upsample_bilinear(self.shortcut(x))
        return y if self.attention is None else self.attention(y)


def _norm(channels: int, classes: int) -> BatchNorm | ConditionalNorm:
    return ConditionalNorm(channels, classes) if classes else BatchNorm(channels, _EPSILON)


def _normalise(norm: Callable[..., Array], x: Array, weights: Array | None) -> Array:
    return norm(x) if weights is None else norm(x, weights)


class SNGAN(PlainGenerator):
    """The residual generator of SNGAN, SSGAN, InfoMax-GAN, cGAN-PD and SAGAN; its code is z.

    A conditional one reads the label in `synthesize`, in the gains and biases of its batch norms;
    mixed labels mix those.

    Example:
        >>> config = SNGANConfig(z_dim=8, bottom_width=4, channels=(6, 4), num_classes=3)
        >>> generator = SNGAN(config, rngs=nnx.Rngs(0))
        >>> codes = generator.broadcast(generator.sample_z(jax.random.key(0), 2))
        >>> jax.jit(SNGAN.synthesize)(generator, codes, label=jnp.array([0, 2])).shape
        (2, 8, 8, 3)
    """

    family: ClassVar[str] = "sngan"

    def __init__(self, config: SNGANConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        width = config.channels[0] * config.bottom_width**2
        self.weight = nnx.Param(0.02 * jax.random.normal(rngs.params(), (config.z_dim, width)))
        self.bias = nnx.Param(jnp.zeros(width))
        self.blocks = nnx.List([Block(config, i, rngs=rngs) for i in range(config.num_blocks)])
        self.norm = BatchNorm(config.channels[-1], _EPSILON)
        self.conv = Conv(config.channels[-1], config.img_channels, 3, rngs=rngs)

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 if the generator is not conditional."""
        return self.config.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.config.image_size, self.config.image_size, self.config.img_channels

    @property
    def num_blocks(self) -> int:
        """Number of residual blocks."""
        return self.config.num_blocks

    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Inputs:
        """Returns latent vectors and weights of the classes; no noise is added."""
        self.check_codes(codes)
        check_noise(noise)
        return Inputs(codes[:, 0], self.class_weights(label, codes[:, 0]))

    def start(self, inputs: Inputs) -> State:
        """Applies the first layer."""
        n, side = inputs.z.shape[0], self.config.bottom_width
        x = dense(inputs.z, self.weight[...], self.bias[...])
        return State(x.reshape(n, self.config.channels[0], side, side).transpose(0, 2, 3, 1))

    def block(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies a residual block."""
        return State(self.blocks[index](state.features, inputs.weights))

    def finish(self, state: State, inputs: Inputs) -> Float[Array, "n h w c"]:
        """Normalises and convolves the features; rescales a sigmoid's range to [-1, 1]."""
        x = self.conv(jax.nn.relu(self.norm(state.features)))
        x = ACTIVATIONS[self.config.output_activation][0](x)
        return 2 * x - 1 if self.config.output_activation == "sigmoid" else x

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns the first layer's matrix [pixels * channels, z_dim]."""
        self.select_layers(layers)
        return (self.weight[...].T,)

"""DCGAN: a plain stack of transposed convolutions (Radford et al. 2015, arXiv:1511.06434)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import (
    MAX_LAYERS,
    MAX_SIDE,
    Labels,
    Noise,
    State,
    check_noise,
)
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.kinds import PlainGenerator
from jaxlatent.generators.layers import ACTIVATIONS, PRECISION
from jaxlatent.generators.norms import BatchNorm
from jaxlatent.keys import AnyKey


@dataclass(frozen=True)
class DCGANConfig:
    """Geometry of the stack; each tuple has one entry for each transposed convolution.

    Attributes:
        z_dim: size of the latent vector, the first layer's input channels.
        channels: output channels.
        kernels: kernel sizes.
        strides: strides.
        paddings: torch's `padding`.
        output_paddings: torch's `output_padding`.
        biases: whether the layer has a bias.
        norms: whether batch normalisation follows.
        activation: after every layer but the last, e.g. "relu" or "lrelu".
        output_activation: after the last; "sigmoid" images are rescaled from [0, 1] to [-1, 1].
        norm_epsilon: added to the variance.
    """

    z_dim: int
    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]
    output_paddings: tuple[int, ...]
    biases: tuple[bool, ...]
    norms: tuple[bool, ...]
    activation: str = "relu"
    output_activation: str = "tanh"
    norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        columns = (
            self.channels, self.kernels, self.strides, self.paddings,
            self.output_paddings, self.biases, self.norms,
        )  # fmt: skip
        if len({len(column) for column in columns}) != 1 or not self.channels:
            raise UserError(
                "a DCGAN needs one stride, padding, ... for each of its "
                f"{len(self.channels)} layers, got {[len(column) for column in columns]}"
            )
        if len(self.channels) > MAX_LAYERS:
            raise UserError(f"at most {MAX_LAYERS} layers, got {len(self.channels)}")
        for name in (self.activation, self.output_activation):
            if name not in ACTIVATIONS:
                raise UserError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}")
        numbers = (self.z_dim, *self.channels, *self.kernels, *self.strides)
        if min(numbers) < 1 or min(self.paddings + self.output_paddings) < 0:
            raise UserError("sizes must be at least 1 and paddings at least 0")
        if any(o >= s for o, s in zip(self.output_paddings, self.strides, strict=True) if o):
            raise UserError(
                f"each output padding must be smaller than its stride, got {self.output_paddings} "
                f"for strides {self.strides}"
            )
        sizes = self.sizes()
        if not 1 <= min(sizes) <= max(*sizes, *self.strides) <= MAX_SIDE:
            raise UserError(
                f"the layers' sizes would be {sizes}, which must be in 1 to {MAX_SIDE}; check the "
                "strides and paddings"
            )
        if not 0 <= self.norm_epsilon < 1:
            raise UserError(f"norm_epsilon must be in [0, 1), got {self.norm_epsilon}")

    def sizes(self) -> list[int]:
        """Side of each layer's output in pixels, from an input of one pixel."""
        size, sizes = 1, []
        columns = (self.kernels, self.strides, self.paddings, self.output_paddings)
        for kernel, stride, padding, extra in zip(*columns, strict=True):
            size = (size - 1) * stride - 2 * padding + kernel + extra
            sizes.append(size)
        return sizes


class Layer(nnx.Module):
    """Transposed convolution, then batch normalisation if there is one."""

    def __init__(self, config: DCGANConfig, index: int, *, rngs: nnx.Rngs) -> None:
        inputs = (config.z_dim, *config.channels)[index]
        outputs, kernel = config.channels[index], config.kernels[index]
        shape = (kernel, kernel, inputs, outputs)
        self.kernel = nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(outputs)) if config.biases[index] else None
        self.norm = BatchNorm(outputs, config.norm_epsilon) if config.norms[index] else None
        self.stride = config.strides[index]
        self.padding = config.paddings[index]
        self.output_padding = config.output_paddings[index]

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer, without the activation."""
        x = self.convolve(x)
        return x if self.norm is None else self.norm(x)

    def convolve(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the transposed convolution alone."""
        kernel = self.kernel[...].astype(x.dtype)
        if x.shape[1:3] == (1, 1) and not self.padding and not self.output_padding:
            # the kernel is stored flipped, for correlation; a single pixel spreads it unflipped
            x = jnp.einsum("ni,hwio->nhwo", x[:, 0, 0], kernel[::-1, ::-1], precision=PRECISION)
        else:
            low = kernel.shape[0] - 1 - self.padding
            x = conv(x, kernel, (low, low + self.output_padding), dilation=self.stride)
        if self.bias is not None:
            x = x + self.bias[...].astype(x.dtype)[None, None, None]
        return x


class DCGAN(PlainGenerator):
    """A plain stack of transposed convolutions; its one code is z itself.

    Example:
        >>> config = DCGANConfig(8, (4, 3), (4, 4), (1, 2), (0, 1), (0, 0), (False,) * 2,
        ...                      (True, False))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> z = generator.sample_z(jax.random.key(0), 2)
        >>> generator.synthesize(generator.broadcast(generator.map(z))).shape
        (2, 8, 8, 3)
    """

    family: ClassVar[str] = "dcgan"

    def __init__(self, config: DCGANConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.layers = nnx.List([Layer(config, i, rngs=rngs) for i in range(len(config.channels))])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        size = self.config.sizes()[-1]
        return size, size, self.config.channels[-1]

    @property
    def num_blocks(self) -> int:
        """One block for each transposed convolution."""
        return len(self.config.channels)

    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Float[Array, "n z"]:
        """Returns the latent vectors; a DCGAN adds no noise and has no classes."""
        self.check_codes(codes)
        check_noise(noise)
        return self.map(codes[:, 0], label)

    def start(self, inputs: Float[Array, "n z"]) -> State:
        """Returns the latent vectors as images of one pixel."""
        return State(inputs[:, None, None])

    def block(self, index: int, state: State, inputs: Float[Array, "n z"]) -> State:
        """Applies a layer and its activation."""
        last = index == self.num_blocks - 1
        name = self.config.output_activation if last else self.config.activation
        return State(ACTIVATIONS[name][0](self.layers[index](state.features)))

    def finish(self, state: State, inputs: Float[Array, "n z"]) -> Float[Array, "n h w c"]:
        """Rescales the sigmoid's range to [-1, 1]."""
        x = state.features
        return 2 * x - 1 if self.config.output_activation == "sigmoid" else x

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns the first transposed convolution as one matrix [pixels * channels, z_dim]."""
        self.select_layers(layers)
        kernel = self.layers[0].kernel[...]
        return (jnp.moveaxis(kernel, 2, -1).reshape(-1, self.z_dim),)

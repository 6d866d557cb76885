"""PGGAN, the progressively grown GAN (Karras et al. 2018, arXiv:1710.10196)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import (
    Labels,
    Noise,
    State,
    check_noise,
)
from jaxlatent.generators.kinds import PlainGenerator
from jaxlatent.generators.layers import second_moment_norm
from jaxlatent.generators.progressive import OUTPUTS, ScaledConv, activate, check_progressive, grow
from jaxlatent.keys import AnyKey


@dataclass(frozen=True)
class PGGANConfig:
    """What defines a PGGAN generator.

    Attributes:
        channels: feature channels at 4, 8, 16, ... pixels; their number sets the resolution.
        z_dim: size of the latent vector z.
        c_dim: number of classes; their weights are appended to z.
        img_channels: channels of an image.
        normalize_z: whether z is normalised by itself before the label is appended (genforce);
            z and label are always normalised together.
        all_images: whether every resolution has an image layer, or only the last.
        lod: level of detail to which the network has grown: 0 is complete, 1 stops at half the
            resolution, values between two mix their images.
        output_activation: "linear" or "tanh".
    """

    channels: tuple[int, ...]
    z_dim: int = 512
    c_dim: int = 0
    img_channels: int = 3
    normalize_z: bool = False
    all_images: bool = True
    lod: float = 0.0
    output_activation: str = "linear"

    def __post_init__(self) -> None:
        check_progressive(self.channels, self.lod, self.all_images, self.output_activation)
        if min(self.z_dim, self.img_channels) < 1 or self.c_dim < 0:
            raise UserError("every size of a PGGAN must be at least 1")

    @property
    def depth(self) -> int:
        """Number of resolutions."""
        return len(self.channels)

    @property
    def resolution(self) -> int:
        """Side of an image in pixels."""
        return 4 << (self.depth - 1)


class Block(nnx.Module):
    """The two convolutions of one resolution, the first of which enlarges, and its image layer."""

    def __init__(self, config: PGGANConfig, index: int, *, rngs: nnx.Rngs) -> None:
        inputs = (config.z_dim + config.c_dim, *config.channels)[index]
        outputs, size = config.channels[index], 3 if index else 4
        self.conv0 = ScaledConv(inputs, outputs, size, rngs=rngs, up=index > 0)
        self.conv1 = ScaledConv(outputs, outputs, 3, rngs=rngs)
        image = config.all_images or index == len(config.channels) - 1
        torgb = ScaledConv(outputs, config.img_channels, 1, rngs=rngs, gain=1.0)
        self.torgb = torgb if image else None

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the convolutions, each followed by activation and pixel norm."""
        x = self.conv0(x) if self.conv0.up else self.conv0.spread(x[:, 0, 0])
        x = second_moment_norm(activate(x))
        return second_moment_norm(activate(self.conv1(x)))


class PGGAN(PlainGenerator):
    """A stack of convolutions with pixel norm; its one code is z itself.

    Images are not bounded unless the config says so; the training data's range is [-1, 1].

    Example:
        >>> generator = PGGAN(PGGANConfig((4, 3), z_dim=8), rngs=nnx.Rngs(0))
        >>> generator.synthesize(generator.broadcast(jnp.ones((2, 8)))).shape
        (2, 8, 8, 3)
    """

    family: ClassVar[str] = "pggan"

    def __init__(self, config: PGGANConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.blocks = nnx.List([Block(config, i, rngs=rngs) for i in range(len(config.channels))])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.config.resolution, self.config.resolution, self.config.img_channels

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 if the generator is not conditional."""
        return self.config.c_dim

    @property
    def num_blocks(self) -> int:
        """One block for each resolution."""
        return self.config.depth

    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Float[Array, "n i"]:
        """Returns the normalised input of the first layer: z, and the label's weights behind it."""
        self.check_codes(codes)
        check_noise(noise)
        x, weights = codes[:, 0], self.class_weights(label, codes[:, 0])
        if self.config.normalize_z:
            x = second_moment_norm(x)
        if weights is not None:
            x = jnp.concatenate([x, weights], axis=1)
        return second_moment_norm(x)

    def start(self, inputs: Float[Array, "n i"]) -> State:
        """Returns the input as images of one pixel."""
        return State(inputs[:, None, None])

    def block(self, index: int, state: State, inputs: Float[Array, "n i"]) -> State:
        """Applies the layers of one resolution."""
        block = self.blocks[index]
        return grow(state, self.num_blocks - 1 - index, self.config.lod, block, block.torgb)

    def finish(self, state: State, inputs: Float[Array, "n i"]) -> Float[Array, "n h w c"]:
        """Returns the image, after the output's activation."""
        image = cast(Array, state.image)  # some block always writes one
        return OUTPUTS[self.config.output_activation](image)

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns the first layer as one matrix [pixels * channels, z_dim], without the label."""
        self.select_layers(layers)
        kernel = self.blocks[0].conv0.matrix()[:, :, : self.z_dim]
        return (jnp.moveaxis(kernel, 2, -1).reshape(-1, self.z_dim),)

"""StyleGAN, the first version (Karras et al. 2019, arXiv:1812.04948)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import (
    MAX_LAYERS,
    Labels,
    Noise,
    State,
    check_rows,
    class_weights,
)
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import fir
from jaxlatent.generators.kinds import StyleBasedGenerator
from jaxlatent.generators.layers import dense, instance_norm, second_moment_norm
from jaxlatent.generators.noise import noise_maps
from jaxlatent.generators.progressive import (
    OUTPUTS,
    ScaledConv,
    ScaledDense,
    activate,
    check_progressive,
    grow,
    scaled,
)
from jaxlatent.generators.up_convolutions import doubled_conv
from jaxlatent.keys import AnyKey
from jaxlatent.model import Buffer


@dataclass(frozen=True)
class StyleGAN1Config:
    """What defines a StyleGAN generator.

    Attributes:
        channels: feature channels at 4, 8, 16, ... pixels; their number sets the resolution.
        z_dim: size of the latent vector z.
        w_dim: size of the intermediate latent vector w.
        c_dim: number of classes.
        embed_dim: size of the label's embedding, which is appended to z and normalised with it.
        img_channels: channels of an image.
        mapping_widths: outputs of the mapping network's layers; the last is `w_dim`, or that for
            every layer of the synthesis if `w_per_layer`.
        mapping_lr_multiplier: factor of the mapping network's stored weights.
        w_per_layer: whether the mapping network gives each layer a w of its own.
        norm_epsilon: added to the variance by the instance norm.
        blur_filter: taps of the blur after an up-sampling convolution, sum 1; an odd number.
        all_images: whether every resolution has an image layer, or only the last.
        lod: level of detail to which the network has grown: 0 is complete, 1 stops at half the
            resolution, values between two mix their images.
        output_activation: "linear" or "tanh".
        has_noise_maps: whether there are constant noise maps.
        has_w_avg: whether the mean of w is known, so that codes can be truncated.
    """

    channels: tuple[int, ...]
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    embed_dim: int = 0
    img_channels: int = 3
    mapping_widths: tuple[int, ...] = (512,) * 8
    mapping_lr_multiplier: float = 0.01
    w_per_layer: bool = False
    norm_epsilon: float = 1e-8
    blur_filter: tuple[float, ...] = (0.25, 0.5, 0.25)
    all_images: bool = True
    lod: float = 0.0
    output_activation: str = "linear"
    has_noise_maps: bool = True
    has_w_avg: bool = True

    def __post_init__(self) -> None:
        check_progressive(self.channels, self.lod, self.all_images, self.output_activation)
        sizes = (*self.mapping_widths, self.z_dim, self.w_dim, self.img_channels)
        if min(sizes) < 1 or min(self.c_dim, self.embed_dim) < 0:
            raise UserError("every size of a StyleGAN must be at least 1")
        width = self.w_dim * (self.num_layers if self.w_per_layer else 1)
        if self.mapping_widths[-1:] != (width,):
            raise UserError(f"the mapping network must end in {width}, got {self.mapping_widths}")
        if len(self.mapping_widths) > MAX_LAYERS:
            raise UserError(f"at most {MAX_LAYERS} mapping layers, got {len(self.mapping_widths)}")
        if bool(self.c_dim) != bool(self.embed_dim):
            raise UserError("embed_dim goes with c_dim")
        if not 0 < self.mapping_lr_multiplier <= 1000:
            raise UserError(
                f"mapping_lr_multiplier must be in (0, 1000], got {self.mapping_lr_multiplier}"
            )
        if not 0 <= self.norm_epsilon < 1:
            raise UserError(f"norm_epsilon must be in [0, 1), got {self.norm_epsilon}")
        if len(self.blur_filter) % 2 == 0 or not abs(sum(self.blur_filter) - 1) <= 1e-4:
            raise UserError(
                f"blur_filter must have an odd number of taps of sum 1, got {self.blur_filter}"
            )

    @property
    def resolution(self) -> int:
        """Side of an image in pixels."""
        return 4 << (len(self.channels) - 1)

    @property
    def num_layers(self) -> int:
        """Number of layers with a style: two for each resolution."""
        return 2 * len(self.channels)


class Mapping(nnx.Module):
    """The network from z (and a label) to w."""

    def __init__(self, config: StyleGAN1Config, *, rngs: nnx.Rngs) -> None:
        self.config = config
        shape = (config.c_dim, config.embed_dim)
        embed = jax.random.normal(rngs.params(), shape) if config.c_dim else None
        self.embed = None if embed is None else nnx.Param(embed)
        widths = (config.z_dim + config.embed_dim, *config.mapping_widths)
        lr = config.mapping_lr_multiplier
        self.layers = nnx.List([ScaledDense(i, o, rngs=rngs, lr=lr) for i, o in pairwise(widths)])
        self.w_avg = Buffer(jnp.zeros(config.mapping_widths[-1])) if config.has_w_avg else None

    def __call__(self, z: Float[Array, "n z"], label: Labels | None) -> Float[Array, "n w"]:
        """Maps z and the label's embedding, normalised together, to w."""
        if self.embed is not None:
            weights = class_weights(label, z.shape[0], self.config.c_dim).astype(z.dtype)
            z = jnp.concatenate([z, dense(weights, self.embed[...])], axis=1)
        elif label is not None:
            raise UserError("this generator is not conditional; give no label")
        x = second_moment_norm(z)
        for layer in self.layers:
            x = activate(layer(x))
        return x


class StyledLayer(nnx.Module):
    """Convolution, blur, noise, bias, activation, instance norm and style.

    The very first layer has no convolution: it starts from the learned constant.
    """

    def __init__(self, config: StyleGAN1Config, index: int, *, rngs: nnx.Rngs) -> None:
        block, second = divmod(index, 2)
        inputs, outputs = config.channels[max(0, block + second - 1)], config.channels[block]
        normal = jax.random.normal
        kernel = normal(rngs.params(), (3, 3, inputs, outputs)) if index else None
        self.kernel = None if kernel is None else nnx.Param(kernel)
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.noise_strength = nnx.Param(jnp.zeros(outputs))
        shape = (4 << block, 4 << block)
        stored = config.has_noise_maps
        self.noise = Buffer(normal(rngs.params(), shape)) if stored else None
        self.affine = ScaledDense(config.w_dim, 2 * outputs, rngs=rngs, gain=1.0)
        self.config = config
        self.up = block > 0 and not second

    def __call__(
        self,
        x: Float[Array, "n h w i"],
        style: Float[Array, "n s"],
        noise: Float[Array, "m h2 w2"] | None,
    ) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer; a style is one factor a channel, less 1, then one shift a channel."""
        if self.kernel is not None:
            kernel = scaled(self.kernel[...])
            x = doubled_conv(x, kernel) if self.up else conv(x, kernel, (1, 1))
        if self.up:
            taps = self.config.blur_filter
            x = fir(x, taps[::-1], len(taps) // 2, len(taps) // 2)
        if noise is not None:
            strength = self.noise_strength[...].astype(x.dtype)[None, None, None]
            x = x + noise.astype(x.dtype)[..., None] * strength
        x = activate(x + self.bias[...].astype(x.dtype)[None, None, None])
        factor, shift = jnp.split(style[:, None, None], 2, axis=-1)
        return instance_norm(x, self.config.norm_epsilon) * (factor + 1) + shift


class Block(nnx.Module):
    """The two layers of one resolution, and its image layer."""

    def __init__(self, config: StyleGAN1Config, index: int, *, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([StyledLayer(config, 2 * index + i, rngs=rngs) for i in range(2)])
        image = config.all_images or index == len(config.channels) - 1
        outputs = config.channels[index]
        torgb = ScaledConv(outputs, config.img_channels, 1, rngs=rngs, gain=1.0)
        self.torgb = torgb if image else None


class Inputs(NamedTuple):
    """What the blocks read: a style and a noise map for each layer."""

    styles: tuple[Array, ...]
    noises: list[Array | None]


class StyleGAN1(StyleBasedGenerator):
    """StyleGAN's generator: mapping network, a code for each layer, synthesis in blocks.

    Images are not bounded unless the config says so; the training data's range is [-1, 1].

    Example:
        >>> config = StyleGAN1Config((4, 3), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> generator = StyleGAN1(config, rngs=nnx.Rngs(0))
        >>> codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), 2)))
        >>> generator.synthesize(generator.truncate(codes, 0.7, cutoff=2)).shape
        (2, 8, 8, 3)
    """

    family: ClassVar[str] = "stylegan1"

    def __init__(self, config: StyleGAN1Config, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.mapping = Mapping(config, rngs=rngs)
        self.const = nnx.Param(jnp.ones((4, 4, config.channels[0])))
        self.blocks = nnx.List([Block(config, i, rngs=rngs) for i in range(len(config.channels))])

    @property
    def num_layers(self) -> int:
        """Number of codes: two for each resolution."""
        return self.config.num_layers

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.config.resolution, self.config.resolution, self.config.img_channels

    def broadcast(self, w: Float[Array, "n _"]) -> Float[Array, "n L d"]:
        """Gives every layer the same code, or, of a row with every layer's, each its own."""
        layers, width = self.num_layers, self.config.w_dim
        if self.config.w_per_layer and w.shape[1:] == (layers * width,):
            check_rows("w", w, (layers * width,))
            return w.reshape(-1, layers, width)
        return super().broadcast(w)

    def styles(self, codes: Float[Array, "n L d"]) -> tuple[Float[Array, "n s"], ...]:
        """Returns each layer's style: factors less 1, then shifts, of its channels."""
        self.check_codes(codes)
        return tuple(layer.affine(codes[:, i]) for i, layer in enumerate(self._layers()))

    @property
    def num_blocks(self) -> int:
        """One block for each resolution."""
        return len(self.config.channels)

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """Sides in pixels of the noise maps that are added, one for each layer."""
        return tuple(4 << (i // 2) for i in range(self.num_layers))

    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Inputs:
        """Computes styles and noise maps.

        Args:
            codes: one row for each layer (W+).
            noise: maps, if given, are [r, r] or [n, r, r], one for each layer.
            key: for random noise.
            label: has no effect here; StyleGAN reads the class in `map`.
        """
        stored = [None if layer.noise is None else layer.noise[...] for layer in self._layers()]
        return Inputs(
            self.styles(codes), noise_maps(noise, key, codes.shape[0], self.noise_sides, stored)
        )

    def start(self, inputs: Inputs) -> State:
        """Returns the learned constant."""
        style = inputs.styles[0]
        const = self.const[...].astype(style.dtype)[None]
        return State(jnp.broadcast_to(const, (style.shape[0], *const.shape[1:])))

    def block(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies the layers of one resolution."""
        return self.step(2 * index + 1, self.step(2 * index, state, inputs), inputs)

    @property
    def num_steps(self) -> int:
        """One step for each layer."""
        return self.num_layers

    def step(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies one layer, and after a block's second its image layer."""
        number, second = divmod(index, 2)
        block, level, lod = self.blocks[number], self.num_blocks - 1 - number, self.config.lod

        def features(x: Array) -> Array:
            return block.layers[second](x, inputs.styles[index], inputs.noises[index])

        if second:
            return grow(state, level, lod, features, block.torgb)
        return state if lod >= level + 1 else state._replace(features=features(state.features))

    def finish(self, state: State, inputs: Inputs) -> Float[Array, "n h w c"]:
        """Returns the image, after the output's activation."""
        image = cast(Array, state.image)  # some block always writes one
        return OUTPUTS[self.config.output_activation](image)

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns each layer's style matrix [2 * channels, w_dim]: factors, then shifts."""
        readers = self._layers()
        return tuple(readers[i].affine.matrix().T for i in self.select_layers(layers))

    def _layers(self) -> list[StyledLayer]:
        return [layer for block in self.blocks for layer in block.layers]

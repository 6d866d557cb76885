"""StyleGAN2 with all of ADA's options (Karras et al. 2020, arXiv:1912.04958 and 2006.06676)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, NamedTuple, cast

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
    class_weights,
)
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import upsample
from jaxlatent.generators.kinds import StyleBasedGenerator
from jaxlatent.generators.layers import (
    ACTIVATIONS,
    at_least_float32,
    bias_act,
    dense,
    second_moment_norm,
)
from jaxlatent.generators.modulation import modulated_conv
from jaxlatent.generators.noise import noise_maps
from jaxlatent.keys import AnyKey
from jaxlatent.model import Buffer


@dataclass(frozen=True)
class StyleGAN2Config:
    """What defines a StyleGAN2 generator.

    Attributes:
        channels: feature channels at 4, 8, 16, ... pixels; their number sets the resolution.
        z_dim: size of the latent vector z; 0 only together with labels.
        w_dim: size of the intermediate latent vector w.
        c_dim: number of classes; 0 if unconditional.
        img_channels: channels of an image.
        mapping_widths: outputs of the mapping network's layers, the last being `w_dim`.
        embed_dim: size of the label embedding.
        label_norm: "separate" normalises z and the label's embedding each by itself (ADA);
            "joint" both together, the embedding being a plain matrix (StyleGAN2 of 2019).
        mapping_lr_multiplier: factor of the mapping network's stored weights.
        mapping_activation: of the mapping network.
        activation: of the synthesis network.
        architecture: "skip", "resnet" or "orig".
        resample_filter: taps of the up-sampling filter of convolutions; they sum to 1.
        image_filter: taps of the up-sampling filter of images.
        conv_clamp: bound of the activations, or `None`.
        use_noise: whether there is per-pixel noise.
        has_w_avg: whether the mean of w is known, so that codes can be truncated.
    """

    channels: tuple[int, ...]
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    img_channels: int = 3
    mapping_widths: tuple[int, ...] = (512,) * 8
    embed_dim: int = 0
    label_norm: str = "separate"
    mapping_lr_multiplier: float = 0.01
    mapping_activation: str = "lrelu"
    activation: str = "lrelu"
    architecture: str = "skip"
    resample_filter: tuple[float, ...] = (0.125, 0.375, 0.375, 0.125)
    image_filter: tuple[float, ...] = (0.125, 0.375, 0.375, 0.125)
    conv_clamp: float | None = None
    use_noise: bool = True
    has_w_avg: bool = True

    def __post_init__(self) -> None:
        if self.architecture not in ("skip", "resnet", "orig"):
            raise UserError(f"architecture must be skip, resnet or orig, got {self.architecture!r}")
        if self.label_norm not in ("separate", "joint"):
            raise UserError(f"label_norm must be separate or joint, got {self.label_norm!r}")
        for name in (self.activation, self.mapping_activation):
            if name not in ACTIVATIONS:
                raise UserError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}")
        if not self.mapping_widths or self.mapping_widths[-1] != self.w_dim:
            raise UserError(
                f"the mapping network must end in w_dim = {self.w_dim}, got {self.mapping_widths}"
            )
        sizes = (*self.channels, *self.mapping_widths, self.w_dim, self.img_channels)
        if not self.channels or min(sizes) < 1 or min(self.z_dim, self.c_dim, self.embed_dim) < 0:
            raise UserError("every size of a StyleGAN2 must be at least 1")
        if bool(self.c_dim) != bool(self.embed_dim) or not self.z_dim + self.embed_dim:
            raise UserError("embed_dim goes with c_dim, and z or a label must be there")
        for taps in (self.resample_filter, self.image_filter):
            if not taps or not abs(sum(taps) - 1) <= 1e-4:
                raise UserError(f"the taps of a filter must sum to 1, got {taps}")
        if len(self.mapping_widths) > MAX_LAYERS:
            raise UserError(f"at most {MAX_LAYERS} mapping layers, got {len(self.mapping_widths)}")
        if self.resolution > MAX_SIDE:
            raise UserError(f"images may have a side of {MAX_SIDE} at most, got {self.resolution}")
        if self.conv_clamp is not None and not self.conv_clamp > 0:
            raise UserError(f"conv_clamp must be positive or None, got {self.conv_clamp}")
        if not 0 < self.mapping_lr_multiplier <= 1000:
            raise UserError(
                f"mapping_lr_multiplier must be in (0, 1000], got {self.mapping_lr_multiplier}"
            )

    @property
    def resolution(self) -> int:
        """Side of an image in pixels."""
        return 4 << (len(self.channels) - 1)

    @property
    def num_convs(self) -> int:
        """Number of style-modulated 3x3 convolutions, in the order of their codes."""
        return 2 * len(self.channels) - 1

    def has_rgb(self, block: int) -> bool:
        """Whether the block writes to the image."""
        return self.architecture == "skip" or block == len(self.channels) - 1


Styles = Mapping[str, Array]


def _normal(rngs: nnx.Rngs, shape: tuple[int, ...]) -> nnx.Param[Array]:
    return nnx.Param(jax.random.normal(rngs.params(), shape))


class Dense(nnx.Module):
    """Fully connected layer with an equalised learning rate."""

    def __init__(
        self, inputs: int, outputs: int, *, rngs: nnx.Rngs, lr: float = 1.0, bias: float = 0.0
    ) -> None:
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (inputs, outputs)) / lr)
        self.bias = nnx.Param(jnp.full(outputs, bias / lr))
        self.lr = lr
        self.scale = lr / math.sqrt(inputs)

    def matrix(self) -> Float[Array, "i o"]:
        """The weights as they act on the input."""
        return at_least_float32(self.weight[...]) * self.scale

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """Applies the layer; scales the inputs, which are fewer than the weights."""
        return dense(x * self.scale, self.weight[...], at_least_float32(self.bias[...]) * self.lr)


class Embedding(nnx.Module):
    """One vector for each class, weighted by the label."""

    def __init__(self, classes: int, size: int, *, rngs: nnx.Rngs) -> None:
        self.weight = _normal(rngs, (classes, size))

    def __call__(self, label: Float[Array, "n classes"]) -> Float[Array, "n e"]:
        """Returns the sum of the vectors, weighted."""
        return dense(label, self.weight[...])


class MappingNetwork(nnx.Module):
    """The network from z (and a label) to w."""

    def __init__(self, config: StyleGAN2Config, *, rngs: nnx.Rngs) -> None:
        self.config = config
        embed = Embedding if config.label_norm == "joint" else Dense
        self.embed = embed(config.c_dim, config.embed_dim, rngs=rngs) if config.c_dim else None
        widths = (config.z_dim + config.embed_dim, *config.mapping_widths)
        self.layers = nnx.List(
            [Dense(i, o, rngs=rngs, lr=config.mapping_lr_multiplier) for i, o in pairwise(widths)]
        )
        self.w_avg = Buffer(jnp.zeros(config.w_dim)) if config.has_w_avg else None

    def __call__(self, z: Float[Array, "n z"], label: Labels | None) -> Float[Array, "n w"]:
        """Maps z and the label's embedding, normalised, to w."""
        parts = [z] if self.config.z_dim else []
        if self.embed is not None:
            weights = class_weights(label, z.shape[0], self.config.c_dim).astype(z.dtype)
            parts.append(self.embed(weights))
        elif label is not None:
            raise UserError("this generator is not conditional; give no label")
        if self.config.label_norm == "joint":
            parts = [jnp.concatenate(parts, axis=1)]
        x = jnp.concatenate([second_moment_norm(part) for part in parts], axis=1)
        for layer in self.layers:
            x = bias_act(layer(x), None, self.config.mapping_activation)
        return x


class StyledConv(nnx.Module):
    """Modulated 3x3 convolution, which may double the resolution; noise, bias, activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        config: StyleGAN2Config,
        *,
        rngs: nnx.Rngs,
        up: bool = False,
    ) -> None:
        self.affine = Dense(config.w_dim, inputs, rngs=rngs, bias=1.0)
        self.kernel = _normal(rngs, (3, 3, inputs, outputs))
        self.bias = nnx.Param(jnp.zeros(outputs))
        noisy = config.use_noise
        self.noise = Buffer(jax.random.normal(rngs.params(), (size, size))) if noisy else None
        self.noise_strength = nnx.Param(jnp.zeros(())) if noisy else None
        self.config = config
        self.up = up

    def __call__(
        self,
        x: Float[Array, "n h w i"],
        style: Float[Array, "n i"],
        noise: Float[Array, "m h2 w2"] | None,
        gain: float = 1.0,
    ) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer; `gain` scales output and clamp."""
        taps = self.config.resample_filter if self.up else None
        x = modulated_conv(x, self.kernel[...], style, up_taps=taps)
        if noise is not None and self.noise_strength is not None:
            x = x + (noise * self.noise_strength[...]).astype(x.dtype)[..., None]
        return bias_act(x, self.bias[...], self.config.activation, gain, self.config.conv_clamp)


class ToRGB(nnx.Module):
    """Modulated 1x1 convolution to the image, without demodulation."""

    def __init__(self, inputs: int, config: StyleGAN2Config, *, rngs: nnx.Rngs) -> None:
        self.affine = Dense(config.w_dim, inputs, rngs=rngs, bias=1.0)
        self.kernel = _normal(rngs, (1, 1, inputs, config.img_channels))
        self.bias = nnx.Param(jnp.zeros(config.img_channels))
        self.clamp = config.conv_clamp

    def __call__(
        self, x: Float[Array, "n h w i"], style: Float[Array, "n i"]
    ) -> Float[Array, "n h w c"]:
        """Returns the layer's part of the image."""
        style = style / math.sqrt(style.shape[1])
        x = modulated_conv(x, self.kernel[...], style, demodulate=False)
        return bias_act(x, self.bias[...], "linear", clamp=self.clamp)


class Block(nnx.Module):
    """The layers of one resolution: up-sampling convolution, convolution, image."""

    def __init__(self, config: StyleGAN2Config, index: int, *, rngs: nnx.Rngs) -> None:
        inputs, outputs = (*config.channels[:1], *config.channels)[index : index + 2]
        size, first = 4 << index, index == 0
        self.config = config
        self.index = index
        convs = partial(StyledConv, config=config, rngs=rngs)
        self.conv0 = None if first else convs(inputs, outputs, size, up=True)
        self.conv1 = convs(outputs, outputs, size)
        self.torgb = ToRGB(outputs, config, rngs=rngs) if config.has_rgb(index) else None
        resnet = config.architecture == "resnet" and not first
        self.skip = _normal(rngs, (1, 1, inputs, outputs)) if resnet else None

    def styles(self, codes: Float[Array, "n L d"]) -> dict[str, Array]:
        """Returns each layer's style; a block's image shares its code with the next block."""
        first = 2 * self.index - 1
        layers = {"conv0": self.conv0, "conv1": self.conv1, "torgb": self.torgb}
        return {
            name: layer.affine(codes[:, first + i])
            for i, (name, layer) in enumerate(layers.items())
            if layer is not None
        }

    def enlarge(self, state: State, styles: Styles, noises: Sequence[Array | None]) -> State:
        """Applies the up-sampling convolution, if there is one and nothing else reads its input."""
        if self.conv0 is None or self.skip is not None:
            return state
        return state._replace(features=self.conv0(state.features, styles["conv0"], noises[0]))

    def refine(self, state: State, styles: Styles, noises: Sequence[Array | None]) -> State:
        """Applies the other convolution; both where the block has a skip connection."""
        x = before = state.features
        if self.skip is None:
            return state._replace(features=self.conv1(x, styles["conv1"], noises[-1]))
        gain = math.sqrt(0.5)
        if self.conv0 is not None:
            x = self.conv0(x, styles["conv0"], noises[0])
        x = self.conv1(x, styles["conv1"], noises[-1], gain=gain)
        kernel = at_least_float32(self.skip[...]) * (gain / math.sqrt(before.shape[-1]))
        x = x + upsample(conv(before, kernel, (0, 0)), self.config.resample_filter)
        return state._replace(features=x)

    def paint(self, state: State, styles: Styles) -> State:
        """Adds to the image."""
        image = state.image
        if image is not None:
            image = upsample(image, self.config.image_filter)
        if self.torgb is not None:
            rgb = self.torgb(state.features, styles["torgb"])
            image = rgb if image is None else image + rgb
        return state._replace(image=image)


class Inputs(NamedTuple):
    """What the blocks read: styles by block and layer, and a noise map for each convolution."""

    styles: tuple[dict[str, Array], ...]
    noises: list[Array | None]


class StyleGAN2(StyleBasedGenerator):
    """StyleGAN2's generator: mapping network, a code for each layer, synthesis in blocks.

    Images are not bounded; the training data's range is [-1, 1].

    Example:
        >>> config = StyleGAN2Config((4,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> generator = StyleGAN2(config, rngs=nnx.Rngs(0))
        >>> codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), 2)))
        >>> generator.synthesize(generator.truncate(codes, 0.7)).shape
        (2, 4, 4, 3)
    """

    family: ClassVar[str] = "stylegan2"

    def __init__(self, config: StyleGAN2Config, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.mapping = MappingNetwork(config, rngs=rngs)
        self.const = _normal(rngs, (4, 4, config.channels[0]))
        self.blocks = nnx.List([Block(config, i, rngs=rngs) for i in range(len(config.channels))])

    @property
    def num_layers(self) -> int:
        """Number of codes: one for each convolution and one for the last image layer."""
        return self.config.num_convs + 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.config.resolution, self.config.resolution, self.config.img_channels

    def styles(self, codes: Float[Array, "n L d"]) -> tuple[dict[str, Array], ...]:
        """Returns for each block the styles that its layers compute from the codes."""
        self.check_codes(codes)
        return tuple(block.styles(codes) for block in self.blocks)

    @property
    def rgb_styles(self) -> frozenset[str]:
        """One for each block that has an image."""
        return frozenset(f"{i}.torgb" for i in range(len(self.blocks)))

    @property
    def num_blocks(self) -> int:
        """One block for each resolution."""
        return len(self.config.channels)

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """Sides in pixels of the noise maps that are added; empty if there is no noise."""
        return self._sides if self.config.use_noise else ()

    @property
    def _sides(self) -> tuple[int, ...]:
        return tuple(4 << ((i + 1) // 2) for i in range(len(self._convs())))

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
            noise: maps, if given, are [r, r] or [n, r, r], one for each convolution.
            key: for random noise.
            label: has no effect here; StyleGAN2 reads the class in `map`.
        """
        stored = [None if c.noise is None else c.noise[...] for c in self._convs()]
        if not self.config.use_noise and isinstance(noise, str):
            noise = noise if noise not in ("const", "random") else "none"
        return Inputs(
            self.styles(codes), noise_maps(noise, key, codes.shape[0], self._sides, stored)
        )

    def start(self, inputs: Inputs) -> State:
        """Returns the learned constant."""
        style = inputs.styles[0]["conv1"]
        const = self.const[...].astype(style.dtype)[None]
        return State(jnp.broadcast_to(const, (style.shape[0], *const.shape[1:])))

    def block(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies the layers of one resolution."""
        block, styles, noises = self._block(index, inputs)
        state = block.refine(block.enlarge(state, styles, noises), styles, noises)
        return block.paint(state, styles)

    @property
    def num_steps(self) -> int:
        """One step for each code, which applies what reads it."""
        return self.num_layers

    def step(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies a convolution; the image of a block goes with the next one's first."""
        number, refines = divmod(index + 1, 2)
        if refines:
            block, styles, noises = self._block(number, inputs)
            return block.refine(state, styles, noises)
        block, styles, _ = self._block(number - 1, inputs)
        state = block.paint(state, styles)
        if number == self.num_blocks:
            return state
        block, styles, noises = self._block(number, inputs)
        return block.enlarge(state, styles, noises)

    def _block(self, index: int, inputs: Inputs) -> tuple[Block, Styles, Sequence[Array | None]]:
        noises = inputs.noises[max(0, 2 * index - 1) : 2 * index + 1]
        return self.blocks[index], inputs.styles[index], noises

    def finish(self, state: State, inputs: Inputs) -> Float[Array, "n h w c"]:
        """Returns the sum of the blocks' images."""
        return cast(Array, state.image)  # the last block always writes to the image

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns the style matrices of the convolutions; the last layer's is the image's."""
        image = [block.torgb.affine for block in self.blocks if block.torgb is not None][-1]
        readers = [*(layer.affine for layer in self._convs()), image]
        return tuple(readers[i].matrix().T for i in self.select_layers(layers))

    def _convs(self) -> list[StyledConv]:
        """Returns the convolutions in the order of their codes."""
        return [c for block in self.blocks for c in (block.conv0, block.conv1) if c is not None]

"""StyleGAN3-T and -R, synthesis without aliasing (Karras et al. 2021, arXiv:2106.12423)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.alias_free import Resampling, filtered_act
from jaxlatent.generators.base import (
    MAX_LAYERS,
    MAX_SIDE,
    Labels,
    Noise,
    State,
    check_noise,
)
from jaxlatent.generators.kernels import energy
from jaxlatent.generators.kinds import StyleBasedGenerator
from jaxlatent.generators.layers import PRECISION
from jaxlatent.generators.modulation import modulated_conv
from jaxlatent.generators.stylegan2 import Dense, MappingNetwork, StyleGAN2Config
from jaxlatent.keys import AnyKey
from jaxlatent.model import Buffer

Transform = Float[Array, "3 3"] | Float[Array, "n 3 3"]


@dataclass(frozen=True)
class StyleGAN3Layer:
    """What defines a layer: a modulated convolution and a filtered activation.

    Attributes:
        channels: output channels.
        kernel: side of the convolution's kernel; 3 in configuration T, 1 in R and for the image.
        resampling: filters, factors and padding around the activation.
    """

    channels: int
    kernel: int
    resampling: Resampling

    def output_size(self, size: int) -> int:
        """Returns the side of the output for an input of side `size`."""
        return self.resampling.output_size(size + self.kernel - 1)


@dataclass(frozen=True)
class StyleGAN3Config:
    """What defines a StyleGAN3 generator.

    Attributes:
        layers: of the synthesis network; the last one makes the image, without demodulation and
            with a linear activation.
        input_size: side of the Fourier features, margin included, in pixels.
        input_channels: number of the Fourier features.
        input_rate: pixels of the Fourier features in an image's side, without margin.
        input_bandwidth: their highest frequency, in periods in an image's side.
        output_scale: factor of the last layer's output.
        conv_clamp: bound of the activations, or `None`.
        z_dim: size of the latent vector z; 0 only together with labels.
        w_dim: size of the intermediate latent vector w.
        c_dim: number of classes; 0 if unconditional.
        mapping_widths: outputs of the mapping network's layers, the last being `w_dim`.
        embed_dim: size of the label embedding.
        mapping_lr_multiplier: factor of the mapping network's stored weights.
        mapping_activation: of the mapping network.
        has_w_avg: whether the mean of w is known, so that codes can be truncated.
    """

    layers: tuple[StyleGAN3Layer, ...]
    input_size: int
    input_channels: int
    input_rate: float
    input_bandwidth: float = 2.0
    output_scale: float = 0.25
    conv_clamp: float | None = 256.0
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_widths: tuple[int, ...] = (512, 512)
    embed_dim: int = 0
    mapping_lr_multiplier: float = 0.01
    mapping_activation: str = "lrelu"
    has_w_avg: bool = True

    def __post_init__(self) -> None:
        _ = self.mapping  # checks its part
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise UserError(f"a StyleGAN3 has 1 to {MAX_LAYERS} layers, got {len(self.layers)}")
        sizes = (self.input_channels, *(n for x in self.layers for n in (x.channels, x.kernel)))
        if min(sizes) < 1 or max(x.kernel for x in self.layers) > MAX_SIDE:
            raise UserError("every size of a StyleGAN3 must be at least 1")
        sides = self.sides
        if not 1 <= min(sides) <= max(sides) <= MAX_SIDE:
            raise UserError(f"a layer's side must be in 1 to {MAX_SIDE}, got {sides}")
        if not 0 < self.input_bandwidth < self.input_rate / 2 < math.inf:
            raise UserError(
                f"input_bandwidth must be between 0 and half of input_rate = {self.input_rate}, "
                f"got {self.input_bandwidth}"
            )
        if self.conv_clamp is not None and not self.conv_clamp > 0:
            raise UserError(f"conv_clamp must be positive or None, got {self.conv_clamp}")
        if not math.isfinite(self.output_scale):
            raise UserError(f"output_scale must be finite, got {self.output_scale}")

    @property
    def mapping(self) -> StyleGAN2Config:
        """A StyleGAN2 of the same mapping network, which StyleGAN3 took over."""
        return StyleGAN2Config(
            channels=(1,),
            z_dim=self.z_dim,
            w_dim=self.w_dim,
            c_dim=self.c_dim,
            mapping_widths=self.mapping_widths,
            embed_dim=self.embed_dim,
            mapping_lr_multiplier=self.mapping_lr_multiplier,
            mapping_activation=self.mapping_activation,
            has_w_avg=self.has_w_avg,
        )

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides in pixels: of the Fourier features, then of each layer's output."""
        sides = [self.input_size]
        for layer in self.layers:
            sides.append(layer.output_size(sides[-1]))
        return tuple(sides)


def input_transform(
    translation: tuple[float, float] | Float[Array, "2"] = (0.0, 0.0),
    angle: float | Float[Array, ""] = 0.0,
) -> Float[Array, "3 3"]:
    """Returns the `transform` that moves what a StyleGAN3 draws.

    The image is first turned around its centre, then shifted. The result is the inverse of the
    movement, since it says from where each pixel is taken; NVIDIA's `make_transform` returns the
    movement itself, which their scripts invert before it goes into the network.

    Args:
        translation: to the right and downwards, in image sides.
        angle: in degrees, counter-clockwise as seen.

    Example:
        >>> input_transform((0.5, 0.25))[:2, 2].tolist()
        [-0.5, -0.25]
    """
    x, y = jnp.asarray(translation[0], jnp.float32), jnp.asarray(translation[1], jnp.float32)
    radians = jnp.deg2rad(jnp.asarray(angle, jnp.float32))
    c, s = jnp.cos(radians), jnp.sin(radians)
    zero, one = jnp.zeros(()), jnp.ones(())
    # the inverse of [[c, s, x], [-s, c, y], [0, 0, 1]]
    rows = ((c, -s, s * y - c * x), (s, c, -s * x - c * y), (zero, zero, one))
    return jnp.stack([jnp.stack(row) for row in rows])


class FourierInput(nnx.Module):
    """Fourier features, turned and shifted by a code and by a transform."""

    def __init__(self, config: StyleGAN3Config, *, rngs: nnx.Rngs) -> None:
        channels = config.input_channels
        self.affine = Dense(config.w_dim, 4, rngs=rngs)
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (channels, channels)))
        frequencies = jax.random.normal(rngs.params(), (channels, 2))
        frequencies /= jnp.linalg.norm(frequencies, axis=1, keepdims=True)
        radii = jax.random.uniform(rngs.params(), (channels, 1))
        self.frequencies = Buffer(frequencies * radii * config.input_bandwidth)
        self.phases = Buffer(jax.random.uniform(rngs.params(), (channels,)) - 0.5)
        self.transform = Buffer(jnp.eye(3))
        self.config = config

    def __call__(
        self, style: Float[Array, "n 4"], transform: Float[Array, "m 3 3"]
    ) -> Float[Array, "n h w c"]:
        """Returns the features, in the dtype of `style`.

        They are computed in float32: a phase is a small difference of large numbers.

        Args:
            style: cosine and sine of a rotation, up to their norm, and a translation.
            transform: applied to the image's coordinates before both.
        """
        side, rate, bandwidth = (
            self.config.input_size,
            self.config.input_rate,
            self.config.input_bandwidth,
        )
        t, u = style.astype(jnp.float32), transform.astype(jnp.float32)
        t = t * lax.rsqrt(jnp.sum(jnp.square(t[:, :2]), axis=1, keepdims=True))
        turn = jnp.stack([t[:, 0], -t[:, 1], t[:, 1], t[:, 0]], axis=1).reshape(-1, 2, 2)
        moved = u[:, :2] - t[:, 2:, None] * u[:, 2:]
        affine = jnp.einsum("nij,njk->nik", turn, moved, precision=PRECISION)
        waves = jnp.einsum("ci,nik->nck", self.frequencies[...], affine, precision=PRECISION)
        phases = self.phases[...][None] + waves[..., 2]
        norms = jnp.sqrt(jnp.sum(jnp.square(waves[..., :2]), axis=2))
        strengths = jnp.clip(1 - (norms - bandwidth) / (rate / 2 - bandwidth), 0, 1)
        place = jnp.asarray((np.arange(side) + 0.5 - side / 2) / rate, jnp.float32)
        across = place[None, None, :, None] * waves[:, None, None, :, 0]
        down = place[None, :, None, None] * waves[:, None, None, :, 1]
        x = jnp.sin(2 * math.pi * (across + down + phases[:, None, None]))
        x = (x * strengths[:, None, None]).astype(style.dtype)
        weight = self.weight[...].astype(x.dtype) / math.sqrt(len(self.weight))
        return jnp.matmul(x, weight, precision=PRECISION)


class SynthesisLayer(nnx.Module):
    """Modulated convolution, bias and filtered activation."""

    def __init__(
        self, inputs: int, layer: StyleGAN3Layer, config: StyleGAN3Config, *, rngs: nnx.Rngs
    ) -> None:
        shape = (layer.kernel, layer.kernel, inputs, layer.channels)
        self.affine = Dense(config.w_dim, inputs, rngs=rngs, bias=1.0)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(layer.channels))
        self.variance = Buffer(jnp.ones(()))  # of the inputs, over the training's samples
        self.clamp = config.conv_clamp
        self.layer = layer

    def __call__(
        self, x: Float[Array, "n h w i"], style: Float[Array, "n i"], image: bool
    ) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer; `image` for the last one, which makes the image."""
        kernel = self.kernel[...]
        gain = lax.rsqrt(self.variance[...]).astype(x.dtype)
        if image:
            style = style * (gain / math.sqrt(math.prod(kernel.shape[:3])))
        else:
            places = math.prod(kernel.shape[:3])
            kernel = kernel * lax.rsqrt(jnp.sum(energy(kernel), axis=0) / places)[None, None, None]
            # The original divides by the whole batch's mean square, to no effect: demodulation
            # undoes any factor of a style, but for its epsilon of 1e-8. The sample's own keeps
            # styles as far above that epsilon, and samples independent of each other.
            style = style * lax.rsqrt(jnp.mean(jnp.square(style), axis=1, keepdims=True))
        x = modulated_conv(x, kernel, style, demodulate=not image, padding=self.layer.kernel - 1)
        x = x if image else x * gain
        activation = "linear" if image else "lrelu"
        return filtered_act(x, self.bias[...], activation, self.clamp, self.layer.resampling)


class Inputs(NamedTuple):
    """What the blocks read: the styles of the Fourier features and the layers, a transform."""

    styles: tuple[Array, ...]
    transform: Array


class StyleGAN3(StyleBasedGenerator):
    """StyleGAN3's generator: mapping network, Fourier features, layers that do not alias.

    Images are not bounded; the training data's range is [-1, 1]. A block is a layer. `synthesize`
    and `features` take one argument more than those of other families, `transform`: a matrix of
    homogeneous coordinates, one for all samples or one for each, that takes a point of the image
    to the point of the drawn plane that is seen there. The origin is the image's centre, x points
    right, y down, and the image's side is 1. So it is the inverse of how the drawing moves, and
    what files store as `synthesis.input.transform`; `input_transform` makes one. It defaults to
    the file's (published ones: no movement).

    Example:
        >>> from jaxlatent.generators import StyleGAN3Layer
        >>> layers = (StyleGAN3Layer(3, 1, Resampling()),)
        >>> config = StyleGAN3Config(layers, 8, 4, 8.0, z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> generator = StyleGAN3(config, rngs=nnx.Rngs(0))
        >>> codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), 2)))
        >>> generator.synthesize(codes, transform=input_transform((0.25, 0.0), angle=45.0)).shape
        (2, 8, 8, 3)
    """

    family: ClassVar[str] = "stylegan3"

    def __init__(self, config: StyleGAN3Config, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.mapping = MappingNetwork(config.mapping, rngs=rngs)
        self.input = FourierInput(config, rngs=rngs)
        widths = (config.input_channels, *(layer.channels for layer in config.layers))
        self.layers = nnx.List(
            [
                SynthesisLayer(inputs, layer, config, rngs=rngs)
                for inputs, layer in zip(widths, config.layers, strict=False)
            ]
        )

    @property
    def num_layers(self) -> int:
        """Number of codes: one for the Fourier features and one for each layer."""
        return len(self.config.layers) + 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        side = self.config.sides[-1]
        return side, side, self.config.layers[-1].channels

    def styles(self, codes: Float[Array, "n L d"]) -> tuple[Array, ...]:
        """Returns the styles that the Fourier features and each layer compute from the codes."""
        self.check_codes(codes)
        return tuple(a(codes[:, i]) for i, a in enumerate(self._affines()))

    @property
    def rgb_styles(self) -> frozenset[str]:
        """The last layer's."""
        return frozenset({str(self.num_layers - 1)})

    @property
    def num_blocks(self) -> int:
        """One block for each layer, that of the image included."""
        return len(self.config.layers)

    def synthesize(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
        transform: Transform | None = None,
    ) -> Float[Array, "n h w c"]:
        """Renders images.

        Args:
            codes: one row for each layer (W+).
            noise: has no effect here; StyleGAN3 has no noise.
            key: has no effect here.
            label: has no effect here; StyleGAN3 reads the class in `map`.
            transform: moves what is drawn, see the class; the file's if not given.
        """
        inputs = self.prepare(codes, noise, key, label, transform)
        return self.finish(self._pass(self.num_blocks, inputs), inputs)

    def features(
        self,
        codes: Float[Array, "n L d"],
        block: int,
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
        transform: Transform | None = None,
    ) -> Float[Array, "n h w c"]:
        """Returns the activations after a layer, with the margin around the image.

        Args:
            codes: one row for each layer (W+).
            block: the layer's number.
            noise: has no effect here.
            key: has no effect here.
            label: has no effect here.
            transform: as in `synthesize`.
        """
        if not 0 <= block < self.num_blocks:
            raise UserError(f"block must be in 0 to {self.num_blocks - 1}, got {block}")
        return self._pass(block + 1, self.prepare(codes, noise, key, label, transform)).features

    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
        transform: Transform | None = None,
    ) -> Inputs:
        """Computes the styles; arguments as of `synthesize`."""
        check_noise(noise)
        styles = self.styles(codes)
        matrix = self.input.transform[...] if transform is None else jnp.asarray(transform)
        n = codes.shape[0]
        if matrix.shape not in ((3, 3), (n, 3, 3)):
            raise UserError(
                f"transform must be of shape [3, 3] or [{n}, 3, 3], got "
                f"{list(matrix.shape)}; input_transform(translation, angle) makes one"
            )
        return Inputs(styles, matrix.reshape(-1, 3, 3))

    def start(self, inputs: Inputs) -> State:
        """Returns the Fourier features."""
        return State(self.input(inputs.styles[0], inputs.transform))

    def block(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies one layer."""
        image = index == self.num_blocks - 1
        return State(self.layers[index](state.features, inputs.styles[index + 1], image))

    def finish(self, state: State, inputs: Inputs) -> Float[Array, "n h w c"]:
        """Scales the last layer's output."""
        return state.features * self.config.output_scale

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns the style matrices: 4 rows for the Fourier features, then those of the layers."""
        readers = self._affines()
        return tuple(readers[i].matrix().T for i in self.select_layers(layers))

    def _affines(self) -> list[Dense]:
        return [self.input.affine, *(layer.affine for layer in self.layers)]

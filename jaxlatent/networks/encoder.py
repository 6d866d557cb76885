"""Encoders of images into StyleGAN2's codes, with their decoder.

pSp (Richardson et al. 2021, arXiv:2008.00951) and e4e (Tov et al. 2021, arXiv:2102.02766).
"""

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import MAX_LAYERS
from jaxlatent.generators.layers import dense
from jaxlatent.generators.norms import BatchNorm
from jaxlatent.generators.stylegan2 import Dense, StyleGAN2, StyleGAN2Config
from jaxlatent.model import Buffer, Model
from jaxlatent.networks.irse import EPSILON, REDUCTION, Backbone
from jaxlatent.networks.layers import Conv, check_images, mean_pool, resize

KINDS = ("psp", "e4e", "w", "w+")
LEVELS = ((3, 4), (7, 5), (MAX_LAYERS, 6))  # of the pyramid: its codes end here, its convolutions
POOLED = 7  # side of the activations that a "w+" encoder reads
_LARGEST = 256  # pixels
_SMALLEST = 16


@dataclass(frozen=True)
class EncoderConfig:
    """What defines an encoder.

    Attributes:
        kind: "psp" and "e4e" read each code from a pyramid of features ("e4e" as an offset from
            the first); "w" reads one code and "w+" all codes from the last features.
        num_codes: codes L that an image becomes.
        code_dim: width d of a code.
        depths: blocks of each stage of the backbone.
        widths: channels of each stage.
        in_channels: channels of an image.
        decoder: the generator that the codes are for, or `None`.
    """

    kind: str
    num_codes: int
    code_dim: int = 512
    depths: tuple[int, ...] = (3, 4, 14, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    in_channels: int = 3
    decoder: StyleGAN2Config | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if len(self.depths) != 4 or len(self.widths) != 4:
            raise UserError(f"an encoder has 4 stages, got {self.depths} and {self.widths}")
        if not 1 <= min(self.depths) <= max(self.depths) <= MAX_LAYERS:
            raise UserError(f"a stage has 1 to {MAX_LAYERS} blocks, got {self.depths}")
        if min(self.widths) < REDUCTION or min(self.code_dim, self.in_channels) < 1:
            raise UserError(
                f"a stage needs at least {REDUCTION} channels and all else 1, got {self.widths}"
            )
        if not 1 <= self.num_codes <= MAX_LAYERS:
            raise UserError(f"num_codes must be in 1 to {MAX_LAYERS}, got {self.num_codes}")
        if self.decoder is not None:
            expected = self.decoder.num_convs + 1, self.decoder.w_dim
            if (self.num_codes, self.code_dim) != expected:
                raise UserError(
                    f"the encoder's codes are {[self.num_codes, self.code_dim]}, its decoder "
                    f"reads {list(expected)}"
                )


class Style(nnx.Module):
    """Convolutions that shrink features to one pixel, and a linear layer that makes it a code."""

    def __init__(self, inputs: int, outputs: int, depth: int, *, rngs: nnx.Rngs) -> None:
        sizes = (inputs, *((outputs,) * depth))
        self.convs = nnx.List(
            [Conv(sizes[i], outputs, 3, 2, 1, bias=True, rngs=rngs) for i in range(depth)]
        )
        self.linear = Dense(outputs, outputs, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n d"]:
        """Returns a code for each image."""
        for conv in self.convs:
            x = jax.nn.leaky_relu(conv(x), 0.01)
        return self.linear(x[:, 0, 0])


class Pyramid(nnx.Module):
    """One code from each style layer: coarse ones from small features, fine ones from large."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs) -> None:
        width = config.widths[3]
        self.lateral = nnx.List(
            [Conv(config.widths[i], width, 1, bias=True, rngs=rngs) for i in (2, 1)]
        )
        self.levels = tuple(level_of(i) for i in range(config.num_codes))
        depths = [LEVELS[level][1] for level in self.levels]
        self.styles = nnx.List(
            [Style(width, config.code_dim, depth, rngs=rngs) for depth in depths]
        )

    def __call__(self, stages: list[Float[Array, "n _ _ _"]]) -> Float[Array, "n L d"]:
        """Returns what each style layer reads, from the ends of the backbone's stages."""
        levels = [stages[3]]
        for lateral, x in zip(self.lateral, (stages[2], stages[1]), strict=True):
            large = resize(levels[-1], x.shape[1], x.shape[2], align_corners=True)
            levels.append(large + lateral(x))
        pairs = zip(self.styles, self.levels, strict=True)
        return jnp.stack([style(levels[level]) for style, level in pairs], axis=1)


def level_of(code: int) -> int:
    """Returns the level of the pyramid that a code is read from.

    Example:
        >>> [level_of(i) for i in (0, 2, 3, 6, 7, 17)]
        [0, 0, 1, 1, 2, 2]
    """
    return next(level for level, (end, _) in enumerate(LEVELS) if code < end)


class Single(nnx.Module):
    """One code from the mean of the last features."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs) -> None:
        self.linear = Dense(config.widths[3], config.code_dim, rngs=rngs)

    def __call__(self, stages: list[Float[Array, "n _ _ _"]]) -> Float[Array, "n 1 d"]:
        """Returns the code."""
        return self.linear(jnp.mean(stages[3], axis=(1, 2)))[:, None]


class Stacked(nnx.Module):
    """All codes from the last features, pooled, by two linear layers."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs) -> None:
        pixels, width = POOLED * POOLED * config.widths[3], config.code_dim
        self.norm = BatchNorm(config.widths[3], EPSILON)
        start = jax.random.normal(rngs.params(), (pixels, width)) / math.sqrt(pixels)
        self.weight = nnx.Param(start)
        self.bias = nnx.Param(jnp.zeros(width))
        self.linear = Dense(width, width * config.num_codes, rngs=rngs)
        self.shape = (config.num_codes, width)

    def __call__(self, stages: list[Float[Array, "n _ _ _"]]) -> Float[Array, "n L d"]:
        """Returns the codes."""
        x = mean_pool(self.norm(stages[3]), POOLED)
        x = dense(x.reshape(x.shape[0], -1), self.weight[...], self.bias[...])
        return self.linear(x).reshape(-1, *self.shape)


_READERS = {"psp": Pyramid, "e4e": Pyramid, "w": Single, "w+": Stacked}


class Encoder(Model):
    """Turns images in [-1, 1] into codes of the generator `decoder`.

    Trained ones want the crops they were trained on: aligned faces of 256x256 pixels, cars of
    192x256. Those of "psp" and "e4e" take no side of more than 256 pixels.

    Example:
        >>> decoder = StyleGAN2Config((4, 4), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> config = EncoderConfig("e4e", 4, 8, (1, 1, 1, 1), (16, 16, 16, 16), decoder=decoder)
        >>> encoder = nnx.eval_shape(lambda: Encoder(config, rngs=nnx.Rngs(0)))  # only shapes
        >>> images = jnp.zeros((2, 32, 32, 3))
        >>> codes = jax.eval_shape(lambda e, x: e.encode(x), encoder, images)
        >>> codes.shape
        (2, 4, 8)
        >>> jax.eval_shape(lambda e, c: e.decoder.synthesize(c), encoder, codes).shape
        (2, 8, 8, 3)
    """

    family: ClassVar[str] = "encoder"

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        sizes = config.in_channels, config.depths, config.widths
        self.backbone = Backbone(*sizes, rngs=rngs)
        self.reader = _READERS[config.kind](config, rngs=rngs)
        self.latent_avg = Buffer(jnp.zeros((config.num_codes, config.code_dim)))
        self.decoder = None if config.decoder is None else StyleGAN2(config.decoder, rngs=rngs)

    def offsets(self, images: Float[Array, "n h w c"]) -> Float[Array, "n L d"]:
        """Returns the codes before the stored mean code is added.

        Args:
            images: in [-1, 1], of sides 16 to 256 (any from 16 on for "w" and "w+").
        """
        self._check(images)
        ends = list(accumulate(self.config.depths))  # the stem's activations come first
        found = self.backbone.activations(images)
        codes = self.reader([found[end] for end in ends])
        if self.config.kind == "e4e":
            first = codes[:, :1]
            codes = jnp.concatenate([first, first + codes[:, 1:]], axis=1)
        shape = (codes.shape[0], self.config.num_codes, codes.shape[2])
        return jnp.broadcast_to(codes, shape)

    def encode(self, images: Float[Array, "n h w c"]) -> Float[Array, "n L d"]:
        """Returns codes that the decoder synthesises the images from, as well as it can.

        Args:
            images: as of `offsets`.
        """
        offsets = self.offsets(images)
        return offsets + self.latent_avg[...].astype(offsets.dtype)[None]

    def _check(self, images: Array) -> None:
        check_images(images, self.config.in_channels)
        low, high = min(images.shape[1:3]), max(images.shape[1:3])
        bounded = self.config.kind in ("psp", "e4e")
        if low < _SMALLEST or (bounded and high > _LARGEST):
            limit = f"{_SMALLEST} to {_LARGEST}" if bounded else f"at least {_SMALLEST}"
            raise UserError(
                f"sides of the images must be {limit} pixels, got {images.shape[1]}x"
                f"{images.shape[2]}; resize them first"
            )

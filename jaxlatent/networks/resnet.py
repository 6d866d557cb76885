"""ResNet with bottlenecks, a predictor of attributes (He et al. 2015, arXiv:1512.03385)."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import MAX_LAYERS
from jaxlatent.generators.layers import dense
from jaxlatent.generators.norms import BatchNorm
from jaxlatent.model import Model
from jaxlatent.networks.layers import Conv, check_images, max_pool

_EPSILON = 1e-5
_MEAN = (0.485, 0.456, 0.406)  # of ImageNet's pixels in [0, 1]
_DEVIATION = (0.229, 0.224, 0.225)


def imagenet_normalize(images: Float[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """Turns images in [-1, 1] into what networks trained on ImageNet take.

    Each channel, as of [0, 1], loses its mean over ImageNet and is divided by its deviation.

    Example:
        >>> imagenet_normalize(jnp.full((1, 1, 1, 3), -1.0)).ravel().round(2).tolist()
        [-2.119999885559082, -2.0399999618530273, -1.7999999523162842]
    """
    check_images(images, 3)
    mean, deviation = (jnp.asarray(v, images.dtype)[None, None, None] for v in (_MEAN, _DEVIATION))
    return ((images + 1) / 2 - mean) / deviation


@dataclass(frozen=True)
class ResNetConfig:
    """What defines a ResNet of bottlenecks; each tuple has one entry for each stage.

    Attributes:
        outputs: number of logits.
        depths: blocks; (3, 4, 6, 3) is a ResNet-50, (3, 4, 23, 3) a ResNet-101.
        widths: channels of a block's 3x3 convolution.
        channels: channels of a block's output.
        stem: channels of the first convolution.
        in_channels: channels of an image.
        version: "1.5" has the stride on a block's 3x3 convolution, "1" on its first 1x1.
    """

    outputs: int
    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    channels: tuple[int, ...] = (256, 512, 1024, 2048)
    stem: int = 64
    in_channels: int = 3
    version: str = "1.5"

    def __post_init__(self) -> None:
        stages = {len(self.depths), len(self.widths), len(self.channels)}
        if len(stages) != 1 or not self.depths:
            raise UserError(
                "a ResNet needs one depth, width and number of channels for each stage, got "
                f"{self.depths}, {self.widths}, {self.channels}"
            )
        numbers = (*self.depths, *self.widths, *self.channels)
        if min(*numbers, self.outputs, self.stem, self.in_channels) < 1:
            raise UserError("every size of a ResNet must be at least 1")
        if max(*self.depths, len(self.depths)) > MAX_LAYERS:
            raise UserError(f"at most {MAX_LAYERS} stages and blocks each, got {self.depths}")
        if self.version not in ("1", "1.5"):
            raise UserError(f"version must be 1 or 1.5, got {self.version!r}")

    def strided(self, stage: int, block: int) -> bool:
        """Whether the block halves the resolution: the first one of all stages but the first."""
        return block == 0 and stage > 0

    def block_inputs(self, stage: int, block: int) -> int:
        """Channels that go into a block."""
        return self.channels[stage] if block else (self.stem, *self.channels)[stage]

    def projected(self, stage: int, block: int) -> bool:
        """Whether the block's shortcut is a convolution."""
        inputs = self.block_inputs(stage, block)
        return self.strided(stage, block) or inputs != self.channels[stage]


class Shortcut(nnx.Module):
    """1x1 convolution and batch normalisation beside a block."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.conv = Conv(inputs, outputs, 1, stride, rngs=rngs)
        self.norm = BatchNorm(outputs, _EPSILON)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer."""
        return self.norm(self.conv(x))


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    def __init__(self, config: ResNetConfig, stage: int, block: int, *, rngs: nnx.Rngs) -> None:
        inputs, outputs = config.block_inputs(stage, block), config.channels[stage]
        width, stride = config.widths[stage], 2 if config.strided(stage, block) else 1
        first, second = (stride, 1) if config.version == "1" else (1, stride)
        self.convs = nnx.List(
            [
                Conv(inputs, width, 1, first, rngs=rngs),
                Conv(width, width, 3, second, padding=1, rngs=rngs),
                Conv(width, outputs, 1, rngs=rngs),
            ]
        )
        self.norms = nnx.List([BatchNorm(size, _EPSILON) for size in (width, width, outputs)])
        projected = config.projected(stage, block)
        self.shortcut = Shortcut(inputs, outputs, stride, rngs=rngs) if projected else None

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the block."""
        y = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y if i == 0 else jax.nn.relu(y)))
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(Model):
    """A ResNet; with 40 outputs, the usual predictor of CelebA's attributes.

    Takes images as it was trained on, most often those of `imagenet_normalize`.

    Example:
        >>> config = ResNetConfig(40, (1, 1), (4, 4), (8, 16), stem=4)
        >>> predictor = nnx.eval_shape(lambda: ResNet(config, rngs=nnx.Rngs(0)))  # only shapes
        >>> def logits(predictor, images):
        ...     return predictor(imagenet_normalize(images))
        >>> jax.eval_shape(logits, predictor, jnp.zeros((2, 32, 32, 3))).shape
        (2, 40)
    """

    family: ClassVar[str] = "resnet"

    def __init__(self, config: ResNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.conv = Conv(config.in_channels, config.stem, 7, 2, padding=3, rngs=rngs)
        self.norm = BatchNorm(config.stem, _EPSILON)
        self.stages = nnx.List(
            [
                nnx.List([Bottleneck(config, stage, block, rngs=rngs) for block in range(depth)])
                for stage, depth in enumerate(config.depths)
            ]
        )
        shape = (config.channels[-1], config.outputs)
        self.weight = nnx.Param(shape[0] ** -0.5 * jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(config.outputs))

    def activations(self, images: Float[Array, "n h w c"]) -> tuple[Float[Array, "n _ _ _"], ...]:
        """Returns what comes out of the stem (after its pool) and of each stage."""
        check_images(images, self.config.in_channels)
        x = max_pool(jax.nn.relu(self.norm(self.conv(images))), 3, 2, padding=1)
        found = [x]
        for blocks in self.stages:
            for block in blocks:
                x = block(x)
            found.append(x)
        return tuple(found)

    def features(self, images: Float[Array, "n h w c"]) -> Float[Array, "n f"]:
        """Returns the last stage's activations, averaged over the pixels."""
        return jnp.mean(self.activations(images)[-1], axis=(1, 2))

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n o"]:
        """Returns the logits; a sigmoid makes probabilities of CelebA's."""
        return dense(self.features(images), self.weight[...], self.bias[...])

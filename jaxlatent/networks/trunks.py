"""Convolutional trunks for perceptual features: VGG16, AlexNet, SqueezeNet 1.1.

Simonyan and Zisserman 2014, arXiv:1409.1556; Krizhevsky 2014, arXiv:1404.5997; Iandola et al.
2016, arXiv:1602.07360.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.model import Model
from jaxlatent.networks.layers import Conv, check_images, max_pool


class Step(NamedTuple):
    """One module of a trunk: its kind, "conv", "relu", "pool" or "fire", and its geometry."""

    kind: str
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    ceil: bool = False


class Table(NamedTuple):
    """A trunk as data.

    Attributes:
        steps: its modules, numbered as in torchvision's `features`.
        taps: the modules after which LPIPS reads the activations.
        channels: published widths: one for each convolution, three for each fire module.
    """

    steps: tuple[Step, ...]
    taps: tuple[int, ...]
    channels: tuple[int, ...]


_RELU, _FIRE = Step("relu"), Step("fire")
_CONV3 = Step("conv", 3, padding=1)
_POOL2, _POOL3 = Step("pool", 2, 2), Step("pool", 3, 2)
_POOL3_CEIL = Step("pool", 3, 2, ceil=True)


def _vgg(*convolutions: int) -> tuple[Step, ...]:
    return tuple(step for count in convolutions for step in (*((_CONV3, _RELU) * count), _POOL2))


TRUNKS: dict[str, Table] = {
    "vgg16": Table(
        _vgg(2, 2, 3, 3, 3),
        (3, 8, 15, 22, 29),
        (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
    ),
    "alexnet": Table(
        (
            Step("conv", 11, 4, 2), _RELU, _POOL3,
            Step("conv", 5, padding=2), _RELU, _POOL3,
            _CONV3, _RELU, _CONV3, _RELU, _CONV3, _RELU, _POOL3,
        ),
        (1, 4, 7, 9, 11),
        (64, 192, 384, 256, 256),
    ),
    "squeezenet1_1": Table(
        (
            Step("conv", 3, 2), _RELU, _POOL3_CEIL, _FIRE, _FIRE, _POOL3_CEIL, _FIRE, _FIRE,
            _POOL3_CEIL, _FIRE, _FIRE, _FIRE, _FIRE,
        ),
        (1, 4, 7, 9, 10, 11, 12),
        (
            64, 16, 64, 64, 16, 64, 64, 32, 128, 128, 32, 128, 128,
            48, 192, 192, 48, 192, 192, 64, 256, 256, 64, 256, 256,
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class TrunkConfig:
    """Which trunk, and how wide.

    Attributes:
        net: "vgg16", "alexnet" or "squeezenet1_1".
        channels: outputs of each convolution; of a fire module three: of its squeezing, its 1x1
            and its 3x3 convolution. `TRUNKS[net].channels` are the published ones.
        in_channels: channels of an image.
    """

    net: str
    channels: tuple[int, ...]
    in_channels: int = 3

    def __post_init__(self) -> None:
        if self.net not in TRUNKS:
            raise UserError(f"net must be one of {', '.join(TRUNKS)}, got {self.net!r}")
        count = len(TRUNKS[self.net].channels)
        if len(self.channels) != count or min(self.in_channels, *self.channels) < 1:
            raise UserError(
                f"{self.net} needs {count} channels of at least 1, got {list(self.channels)}"
            )

    @property
    def widths(self) -> dict[int, tuple[int, ...]]:
        """Outputs of the convolutions of each module that has some, by its number."""
        sizes = {"conv": 1, "fire": 3}
        left, found = list(self.channels), {}
        for index, step in enumerate(TRUNKS[self.net].steps):
            if count := sizes.get(step.kind, 0):
                found[index], left = tuple(left[:count]), left[count:]
        return found

    @property
    def tap_channels(self) -> tuple[int, ...]:
        """Channels of the activations that LPIPS reads."""
        steps, widths = TRUNKS[self.net].steps, self.widths
        found = []
        for tap in TRUNKS[self.net].taps:
            index = max(i for i in widths if i <= tap)
            found.append(
                sum(widths[index][1:]) if steps[index].kind == "fire" else widths[index][0]
            )
        return tuple(found)


class Fire(nnx.Module):
    """SqueezeNet's module: a 1x1 convolution, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, inputs: int, widths: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        squeezed, narrow, wide = widths
        self.squeeze = Conv(inputs, squeezed, 1, bias=True, rngs=rngs)
        self.expand1x1 = Conv(squeezed, narrow, 1, bias=True, rngs=rngs)
        self.expand3x3 = Conv(squeezed, wide, 3, padding=1, bias=True, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        """Applies the module."""
        x = jax.nn.relu(self.squeeze(x))
        return jax.nn.relu(jnp.concatenate([self.expand1x1(x), self.expand3x3(x)], axis=-1))


class Trunk(Model):
    """The convolutional part of a classifier.

    Takes images as it was trained on: those of `imagenet_normalize`.

    Example:
        >>> config = TrunkConfig("alexnet", (4, 4, 6, 5, 5))
        >>> trunk = nnx.eval_shape(lambda: Trunk(config, rngs=nnx.Rngs(0)))  # only shapes
        >>> images = jnp.zeros((2, 64, 64, 3))
        >>> found = jax.eval_shape(lambda t, x: t.activations(x), trunk, images)
        >>> [a.shape[-1] for a in found]
        [4, 4, 6, 5, 5]
    """

    family: ClassVar[str] = "trunk"

    def __init__(self, config: TrunkConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.layers: nnx.Dict[Conv | Fire] = nnx.Dict()
        inputs = config.in_channels
        for index, widths in config.widths.items():
            step = TRUNKS[config.net].steps[index]
            if step.kind == "fire":
                self.layers[str(index)] = Fire(inputs, widths, rngs=rngs)
                inputs = sum(widths[1:])
            else:
                geometry = (step.kernel, step.stride, step.padding)
                self.layers[str(index)] = Conv(inputs, widths[0], *geometry, bias=True, rngs=rngs)
                inputs = widths[0]

    def _outputs(self, images: Array) -> Iterator[Array]:
        """Yields what comes out of each module."""
        check_images(images, self.config.in_channels)
        x = images
        for index, step in enumerate(TRUNKS[self.config.net].steps):
            if step.kind == "relu":
                x = jax.nn.relu(x)
            elif step.kind == "pool":
                x = max_pool(x, step.kernel, step.stride, step.padding, step.ceil)
            else:
                x = self.layers[str(index)](x)
            yield x

    def activations(self, images: Float[Array, "n h w c"]) -> tuple[Float[Array, "n _ _ _"], ...]:
        """Returns the activations that LPIPS reads, from the first to the last."""
        taps = TRUNKS[self.config.net].taps
        found = []
        for index, x in enumerate(self._outputs(images)):
            if index in taps:
                found.append(x)
            if index == taps[-1]:
                break
        return tuple(found)

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 f"]:
        """Returns what comes out of the last module."""
        *_, last = self._outputs(images)
        return last

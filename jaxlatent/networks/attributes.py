"""A small convolutional network that reads every attribute of an image at once."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.layers import dense, leaky_relu
from jaxlatent.model import Model
from jaxlatent.networks.layers import Conv, check_images

ABSENT = "none"  # the value of a category that says that there is nothing


@dataclass(frozen=True)
class Category:
    """An attribute that has one of several values.

    Attributes:
        name: such as "glasses".
        values: such as "none", "round".
        temperature: what its logits are divided by, so that probabilities are calibrated.
    """

    name: str
    values: tuple[str, ...]
    temperature: float = 1.0


@dataclass(frozen=True)
class Factor:
    """An attribute that is a number.

    Attributes:
        name: such as "tilt".
        low: the value that is read as -1.
        high: the value that is read as 1.
    """

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class AttributesConfig:
    """What defines an attribute network.

    Attributes:
        categories: attributes with values, in the order of their logits.
        factors: attributes that are numbers.
        widths: channels of each stage; every stage halves the resolution.
        depth: residual convolutions of each stage.
        side: an image's side in pixels.
    """

    categories: tuple[Category, ...]
    factors: tuple[Factor, ...] = ()
    widths: tuple[int, ...] = (32, 48, 64, 96)
    depth: int = 0
    side: int = 64

    def __post_init__(self) -> None:
        problems = [
            f"{category.name} needs two values and a positive temperature"
            for category in self.categories
            if len(category.values) < 2 or not category.temperature > 0
        ]
        if not self.widths or self.side % (1 << len(self.widths)):
            problems.append(f"a side of {self.side} cannot be halved {len(self.widths)} times")
        if problems:
            raise UserError("; ".join(problems))


class Stage(nnx.Module):
    """A convolution, down-sampling, then residual convolutions."""

    def __init__(self, inputs: int, outputs: int, depth: int, *, rngs: nnx.Rngs) -> None:
        self.first = Conv(inputs, outputs, 3, padding=1, bias=True, rngs=rngs)
        self.rest = nnx.List(
            [Conv(outputs, outputs, 3, padding=1, bias=True, rngs=rngs) for _ in range(depth)]
        )

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Returns features of half the resolution."""
        x = _normalized(leaky_relu(halve(self.first(x))))
        for layer in self.rest:
            x = _normalized(x + leaky_relu(layer(x)))
        return x


class AttributeNet(Model):
    """Reads categories and factors from images in [-1, 1].

    Example:
        >>> glasses = Category("glasses", ("none", "round", "sun"))
        >>> tilt = Factor("tilt", -10.0, 10.0)
        >>> config = AttributesConfig((glasses,), (tilt,), widths=(4,), side=8)
        >>> net = AttributeNet(config, rngs=nnx.Rngs(0))
        >>> net.names
        ('glasses', 'glasses: round', 'glasses: sun', 'tilt')
        >>> net.scores(jnp.zeros((5, 8, 8, 3))).shape
        (5, 4)
    """

    family: ClassVar[str] = "attributes"

    def __init__(self, config: AttributesConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.stages = nnx.List(
            [Stage(i, o, config.depth, rngs=rngs) for i, o in pairwise((3, *config.widths))]
        )
        inputs = config.widths[-1] * (config.side >> len(config.widths)) ** 2
        sizes = [len(category.values) for category in config.categories]
        shape = (inputs, sum(sizes) + len(config.factors))
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) * 0.1 / inputs**0.5)
        self.bias = nnx.Param(jnp.zeros(shape[1]))

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that `scores` gives: what is there, each value, each factor.

        A category that may be absent is one attribute, "glasses"; each other value one more,
        "glasses: round".
        """
        names = []
        for category in self.config.categories:
            names += [
                category.name if value == ABSENT else f"{category.name}: {value}"
                for value in category.values
            ]
        return (*names, *(factor.name for factor in self.config.factors))

    def features(self, images: Float[Array, "n h w 3"]) -> list[Float[Array, "n _ _ _"]]:
        """Returns the features of every stage, the largest first."""
        check_images(images, 3)
        if images.shape[1:3] != (self.config.side, self.config.side):
            raise UserError(
                f"images must be of {self.config.side}x{self.config.side} pixels, got "
                f"{images.shape[1]}x{images.shape[2]}"
            )
        states = [images]
        for stage in self.stages:
            states.append(stage(states[-1]))
        return states[1:]

    def embed(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n d"]:
        """Returns one vector for each image: the last features, averaged over its area."""
        return self.features(images)[-1].mean((1, 2))

    def __call__(
        self, images: Float[Array, "n h w 3"]
    ) -> tuple[tuple[Float[Array, "n _"], ...], Float[Array, "n f"]]:
        """Returns each category's calibrated logits, and the factors from -1 (low) to 1 (high)."""
        last = self.features(images)[-1]
        out = dense(last.reshape(last.shape[0], -1), self.kernel[...], self.bias[...])
        logits, start = [], 0
        for category in self.config.categories:
            end = start + len(category.values)
            logits.append(out[:, start:end] / category.temperature)
            start = end
        return tuple(logits), out[:, start:]

    def scores(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n a"]:
        """Returns a column for each of `names`: log-odds of what is seen, and factors.

        The logistic function turns log-odds into calibrated probabilities. What is beyond [-1, 1]
        in an image is clipped, as in a picture.
        """
        logits, factors = self(jnp.clip(images, -1, 1))
        columns = []
        for category, values in zip(self.config.categories, logits, strict=True):
            odds = _log_odds(values)
            absent = [value == ABSENT for value in category.values]
            columns.append(jnp.where(jnp.array(absent)[None], -odds, odds))
        return jnp.concatenate([*columns, factors], axis=1)

    def scorer(self, name: str) -> jax.tree_util.Partial:
        """Returns the scorer of one attribute, a function of images that has a gradient.

        Raises:
            UserError: if there is no such attribute.
        """
        if name not in self.names:
            raise UserError(f"no attribute {name!r}; there are {', '.join(self.names)}")
        return jax.tree_util.Partial(_column, self, self.names.index(name))


@jax.jit
def _column(net: AttributeNet, column: Any, images: Any) -> Float[Array, " n"]:
    return net.scores(images)[:, column]


def _log_odds(logits: Float[Array, "n v"]) -> Float[Array, "n v"]:
    """Returns log(p / (1 - p)) of each value under softmax, without rounding p."""
    size = logits.shape[1]
    others = jnp.where(jnp.eye(size, dtype=bool)[None], -jnp.inf, logits[:, None, :])
    return logits - jax.nn.logsumexp(others, axis=2)


def halve(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Averages each 2x2 square of pixels.

    Example:
        >>> halve(jnp.arange(4.0).reshape(1, 2, 2, 1)).ravel().tolist()
        [1.5]
    """
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def _normalized(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Scales each pixel's channels to a mean square of 1."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-4)

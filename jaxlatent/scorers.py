"""Scorers: functions from images to one number each, by which directions are found and named."""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels, Noise
from jaxlatent.generators.layers import PRECISION
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.networks import AttributeNet
from jaxlatent.sweeps import render

Scorer = Callable[[Float[Array | np.ndarray, "n h w c"]], Float[Array | np.ndarray, " n"]]
Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last, in pixels."""

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
_AT_ONCE = 1024  # images that are kept while they are scored


def brightness(images: Float[Array | np.ndarray, "n h w c"]) -> Float[Array, " n"]:
    """Returns each image's mean luma, in [-1, 1].

    Example:
        >>> brightness(jnp.full((1, 4, 4, 3), 0.5)).round(4).tolist()
        [0.5]
    """
    return jnp.mean(_luma(images), axis=(1, 2))


def contrast(images: Float[Array | np.ndarray, "n h w c"]) -> Float[Array, " n"]:
    """Returns the standard deviation of each image's luma.

    Example:
        >>> contrast(jnp.array([-1.0, 1.0]).reshape(1, 1, 2, 1)).tolist()
        [1.0]
    """
    return jnp.std(_luma(images), axis=(1, 2))


def warmth(images: Float[Array | np.ndarray, "n h w 3"]) -> Float[Array, " n"]:
    """Returns how much more red than blue each image is on average, in [-2, 2].

    Example:
        >>> warmth(jnp.array([1.0, 0.0, -0.5]).reshape(1, 1, 1, 3)).tolist()
        [1.5]
    """
    return jnp.mean(images[..., 0] - images[..., 2], axis=(1, 2))


def within(scorer: Scorer, box: Box) -> Scorer:
    """Returns the scorer that sees a part of each image only.

    Args:
        scorer: of the part.
        box: its rows and columns.

    Raises:
        UserError: if the box is empty or, when it is called, not within the images.

    Example:
        >>> image = jnp.zeros((1, 4, 4, 3)).at[:, :2].set(1)
        >>> within(brightness, (0, 2, 0, 4))(image).round(4).tolist()
        [1.0]
    """
    top, bottom, left, right = box
    if not (0 <= top < bottom and 0 <= left < right):
        raise UserError(f"a box is (top, bottom, left, right) with pixels in it, got {box}")

    def scored(images: Float[Array | np.ndarray, "n h w c"]) -> Float[Array | np.ndarray, " n"]:
        if bottom > images.shape[1] or right > images.shape[2]:
            raise UserError(f"the box {box} is not within images of {list(images.shape[1:3])}")
        return scorer(images[:, top:bottom, left:right])

    return scored


def score(
    generator: Generator,
    codes: Float[Array, "n L d"],
    scorers: Mapping[str, Scorer] | AttributeNet,
    *,
    noise: Noise = "const",
    key: AnyKey | None = None,
    label: Labels | None = None,
) -> Float[np.ndarray, "n a"]:
    """Renders any number of codes and scores their images, which are not kept.

    Args:
        generator: the generator.
        codes: a row for each layer.
        scorers: by name, their order is that of the columns; or a network that reads many
            attributes at once, whose `names` are the columns.
        noise: see `Generator.synthesize`.
        key: for random noise; each sample has its own.
        label: classes, one for each code.

    Raises:
        UserError: if the codes do not fit, there is no scorer, or one does not give a finite
            number for each image.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> score(generator, jnp.ones((5, 1, 2)), {"light": brightness, "warm": warmth}).shape
        (5, 2)
    """
    generator.check_codes(codes)
    if isinstance(scorers, Mapping) and not scorers:
        raise UserError("no scorers were given")
    n = codes.shape[0]
    keys = None if key is None else per_sample(key, n)
    width = len(scorers) if isinstance(scorers, Mapping) else len(scorers.names)
    parts = [np.zeros((0, width), np.float32)]
    size = math.ceil(n / max(1, math.ceil(n / _AT_ONCE)))  # all parts alike, to be compiled once
    for start in range(0, n, max(1, size)):
        part = np.minimum(np.arange(start, start + size), n - 1)
        images = render(
            generator,
            codes[part],
            noise=noise,
            key=None if keys is None else keys[part],
            label=None if label is None else jnp.asarray(label)[part],
        )
        parts.append(_columns(scorers, images)[: n - start])
    return np.concatenate(parts)


@jax.jit
def _read(net: AttributeNet, images: Array) -> Float[Array, "n a"]:
    return net.scores(images)


def _columns(
    scorers: Mapping[str, Scorer] | AttributeNet, images: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n a"]:
    if isinstance(scorers, Mapping):
        each = [_checked(name, scorer, images) for name, scorer in scorers.items()]
        return np.stack(each, axis=1)
    return np.asarray(_read(scorers, images))


def _checked(name: str, scorer: Scorer, images: Float[Array | np.ndarray, "n h w c"]) -> np.ndarray:
    values = np.asarray(scorer(images), np.float32)
    if values.shape != (len(images),):
        raise UserError(
            f"the scorer {name} must give one number for each of {len(images)} images, got an "
            f"array of {list(values.shape)}"
        )
    if not np.isfinite(values).all():
        raise UserError(f"the scorer {name} gave numbers that are not finite")
    return values


def _luma(images: Float[Array | np.ndarray, "n h w c"]) -> Float[Array, "n h w"]:
    x = jnp.asarray(images)
    weights = _LUMA if x.shape[-1] == len(_LUMA) else (1 / x.shape[-1],) * x.shape[-1]
    return jnp.matmul(x, jnp.asarray(weights, x.dtype), precision=PRECISION)

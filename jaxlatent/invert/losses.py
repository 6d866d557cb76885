"""What an inversion minimises: terms, functions of a batch to one number for each image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.generators.layers import PRECISION
from jaxlatent.networks.layers import mean_pool


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class View:
    """What a term sees: one step's images, where they came from, and what they should be.

    Attributes:
        images: rendered.
        targets: the images to be inverted.
        code: what is optimised, in its own space.
        codes: the same, a row for each layer.
        noise: noise maps, if they are optimised.
    """

    images: Float[Array, "n h w c"]
    targets: Float[Array, "n h w c"]
    code: Float[Array, "n m d"]
    codes: Float[Array, "n L d"]
    noise: tuple[Float[Array, "n _ _"], ...] = ()


Term = Callable[[View], Float[Array, " n"]]


@partial(jax.tree_util.register_dataclass, data_fields=["mask"], meta_fields=["power"])
@dataclass(frozen=True, eq=False)
class Pixels:
    """Mean absolute or squared difference of pixels.

    Attributes:
        power: 1 or 2.
        mask: weight of each pixel, [h, w] or [n, h, w]; `None` for all the same.

    Example:
        >>> x = jnp.zeros((1, 2, 2, 3))
        >>> Pixels(2)(View(x + 2, x, x[..., 0], x[..., 0])).tolist()
        [4.0]
    """

    power: int = 2
    mask: Any = None

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        difference = jnp.abs(view.images - view.targets) ** self.power
        if self.mask is None:
            return difference.mean((1, 2, 3))
        weight = jnp.broadcast_to(self.mask, difference.shape[:3])
        total = jnp.maximum(weight.sum((1, 2)), 1e-6)
        return (difference.mean(3) * weight).sum((1, 2)) / total


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["levels"])
@dataclass(frozen=True)
class Pyramid:
    """Absolute difference of Laplacian pyramids, each level weighted by 4 to its number (GLO).

    Bojanowski et al. 2018, arXiv:1707.05776.

    Attributes:
        levels: of the pyramid, besides what is left at its top.
    """

    levels: int = 3

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        x, total = view.images - view.targets, jnp.zeros(view.images.shape[0])
        for level in range(self.levels):
            small = _blurred(x)[:, ::2, ::2]
            large = jnp.repeat(jnp.repeat(small, 2, axis=1), 2, axis=2)
            band = x - large[:, : x.shape[1], : x.shape[2]]
            total = total + 4.0**level * jnp.abs(band).mean((1, 2, 3))
            x = small
        return total + 4.0**self.levels * jnp.abs(x).mean((1, 2, 3))


def _blurred(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Filters with the binomial kernel of five taps, repeating the border."""
    for axis in (1, 2):
        pads = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded, size = jnp.pad(x, pads, mode="edge"), x.shape[axis]
        parts = [
            weight * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i, weight in enumerate((1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16))
        ]
        x = sum(parts[1:], parts[0])
    return x


@partial(jax.tree_util.register_dataclass, data_fields=["distance"], meta_fields=["side"])
@dataclass(frozen=True, eq=False)
class Perceptual:
    """A distance of images, such as LPIPS, after averaging large images down.

    Attributes:
        distance: function of two batches of images, such as `jaxlatent.networks.LPIPS`.
        side: the largest side in pixels that the distance sees.
    """

    distance: Any
    side: int = 256

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        a, b = view.images, view.targets
        if a.shape[1] > self.side:
            a, b = mean_pool(a, self.side), mean_pool(b, self.side)
        return self.distance(a, b)


@partial(jax.tree_util.register_dataclass, data_fields=["embed"], meta_fields=["cosine"])
@dataclass(frozen=True, eq=False)
class Embedding:
    """How far apart a network puts image and target: squared distance, or 1 - cosine.

    Attributes:
        embed: function of images to vectors [n, d] or features [n, ...].
        cosine: whether only the directions of the vectors count, as for identities.
    """

    embed: Any
    cosine: bool = False

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        a, b = (self.embed(x).reshape(x.shape[0], -1) for x in (view.images, view.targets))
        if not self.cosine:
            return jnp.square(a - b).mean(1)
        lengths = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
        return 1 - (a * b).sum(1) / jnp.maximum(lengths, 1e-12)


def noise_correlation(view: View) -> Float[Array, " n"]:
    """Returns the squared correlation of noise maps with themselves, one pixel aside.

    Over a pyramid of each map down to 8 pixels, so that noise stays noise and holds no picture
    (StyleGAN2, arXiv:1912.04958, appendix D).
    """
    total = jnp.zeros(view.images.shape[0])
    for noise in view.noise:
        x = noise
        while True:
            for axis in (1, 2):
                total = total + jnp.square((x * jnp.roll(x, 1, axis)).mean((1, 2)))
            if x.shape[1] <= 8:
                break
            n, h, w = x.shape
            x = x.reshape(n, h // 2, 2, w // 2, 2).mean((2, 4))
    return total


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class NearMean:
    """Squared distance of the rows of codes from a mean.

    Attributes:
        mean: [d], or a row for each layer.
    """

    mean: Float[Any, "..."]

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        return jnp.square(view.code - jnp.asarray(self.mean)).mean((1, 2))


def spread(view: View) -> Float[Array, " n"]:
    """Returns how far the rows of a code are from their mean, squared: 0 for a code of w."""
    centre = view.code.mean(1, keepdims=True)
    return jnp.square(view.code - centre).mean((1, 2))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class WPrior:
    """Squared length of w as PULSE whitens it: the slope undone, Gaussian, of unit deviation.

    Menon et al. 2020, arXiv:2003.03808; the linear part after Zhu et al. 2020, arXiv:2012.09036.

    Attributes:
        mean: of w with the last activation undone.
        whiten: matrix by which deviations from it are multiplied.
    """

    mean: Float[Any, " d"]
    whiten: Float[Any, "d d"]

    @classmethod
    def of(cls, w: Float[Any, "n d"]) -> "WPrior":
        """Fits the prior to samples of w."""
        x = np.asarray(unslope(jnp.asarray(w)), np.float64)
        values, vectors = np.linalg.eigh(np.cov(x.T))
        scale = 1 / np.sqrt(np.maximum(values, 1e-9 * values.max()))
        return cls(*(jnp.asarray(a, jnp.float32) for a in (x.mean(0), vectors * scale[None])))

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        x = unslope(view.code) - self.mean[None, None]
        return jnp.square(jnp.matmul(x, self.whiten, precision=PRECISION)).mean((1, 2))


def unslope(w: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Undoes a leaky ReLU of slope 0.2, the last step of StyleGANs' mapping.

    Example:
        >>> unslope(jnp.array([-1.0, 1.0])).tolist()
        [-5.0, 1.0]
    """
    return jnp.where(w < 0, 5 * w, w)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class InDomain:
    """Squared distance of a code from what an encoder says of the image that it gives (idinvert).

    Zhu et al. 2020, arXiv:2004.00049.

    Attributes:
        encode: function of images to codes, of the shape that is optimised.
    """

    encode: Any = field()

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        return jnp.square(self.encode(view.images) - view.code).mean((1, 2))


def total(
    terms: Sequence[tuple[Any, Term]], view: View
) -> tuple[Float[Array, " n"], Float[Array, "t n"]]:
    """Returns the weighted sum of the terms, and the terms."""
    values = jnp.stack([term(view) for _, term in terms])
    weights = jnp.array([weight for weight, _ in terms])
    return (weights[:, None] * values).sum(0), values

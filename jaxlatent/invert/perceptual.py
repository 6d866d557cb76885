"""Terms that compare images as a network sees them."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.invert.losses import View
from jaxlatent.networks.layers import mean_pool


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


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class InDomain:
    """Squared distance of a code from what an encoder says of the image that it gives (idinvert).

    Zhu et al. 2020, arXiv:2004.00049.

    Attributes:
        encode: function of images to codes, of the shape that is optimised.
    """

    encode: Any

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        return jnp.square(self.encode(view.images) - view.code).mean((1, 2))

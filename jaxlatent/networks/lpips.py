"""LPIPS, a perceptual distance of images (Zhang et al. 2018, arXiv:1801.03924)."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.layers import PRECISION
from jaxlatent.model import Model
from jaxlatent.networks.layers import check_images, resize
from jaxlatent.networks.trunks import Trunk, TrunkConfig

SHIFT = (-0.030, -0.088, -0.188)  # of an image in [-1, 1], before the trunk of version 0.1
SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10


@dataclass(frozen=True)
class LPIPSConfig:
    """What defines a distance.

    Attributes:
        trunk: the network whose activations are compared.
        version: "0.1", or "0.0", whose trunk reads the images as they are.
    """

    trunk: TrunkConfig
    version: str = "0.1"

    def __post_init__(self) -> None:
        if self.version not in ("0.0", "0.1"):
            raise UserError(f"version must be 0.0 or 0.1, got {self.version!r}")


def _unit(features: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Scales each pixel to unit length; zeros stay, with a gradient of zero through the length."""
    square = jnp.sum(jnp.square(features), axis=-1, keepdims=True)
    some = square > 0
    length = jnp.where(some, jnp.sqrt(jnp.where(some, square, 1)), 0)
    return features / (length + jnp.asarray(_EPSILON, features.dtype))


class LPIPS(Model):
    """A distance of images in [-1, 1]: 0 for the same image, larger the more they differ.

    Example:
        >>> trunk = TrunkConfig("alexnet", (4, 4, 6, 5, 5))
        >>> lpips = nnx.eval_shape(lambda: LPIPS(LPIPSConfig(trunk), rngs=nnx.Rngs(0)))
        >>> images = jnp.ones((2, 64, 64, 3))
        >>> nnx.eval_shape(lambda lpips, a, b: lpips(a, b), lpips, images, images).shape
        (2,)
    """

    family: ClassVar[str] = "lpips"

    def __init__(self, config: LPIPSConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.trunk = Trunk(config.trunk, rngs=rngs)
        self.heads = nnx.List([nnx.Param(jnp.ones(c) / c) for c in config.trunk.tap_channels])

    def activations(
        self, images: Float[Array, "n h w c"], normalize: bool = False
    ) -> tuple[Float[Array, "n _ _ _"], ...]:
        """Returns the trunk's activations.

        Args:
            images: in [-1, 1], or in [0, 1] if `normalize`.
            normalize: whether to map [0, 1] to [-1, 1] first.
        """
        check_images(images, self.config.trunk.in_channels)
        x = 2 * images - 1 if normalize else images
        if self.config.version == "0.1":
            shift, scale = (jnp.asarray(v, x.dtype)[None, None, None] for v in (SHIFT, SCALE))
            x = (x - shift) / scale
        return self.trunk.activations(x)

    def maps(
        self,
        a: Float[Array, "n h w c"],
        b: Float[Array, "n h w c"],
        normalize: bool = False,
        heads: bool = True,
    ) -> tuple[Float[Array, "n _ _"], ...]:
        """Returns for each layer the distance at each of its pixels.

        Args:
            a: images, as of `activations`.
            b: those to compare them with, one for each of `a`.
            normalize: whether the images are in [0, 1].
            heads: whether the trained heads weight the channels; else they are summed (the
                original's `lpips=False`).
        """
        check_images(a, self.config.trunk.in_channels)
        if a.shape != b.shape or a.dtype != b.dtype:
            raise UserError(
                "images must be compared with as many of the same size and type, got "
                f"{list(a.shape)} {a.dtype} and {list(b.shape)} {b.dtype}"
            )
        # compiled code may round a sample differently elsewhere in the batch; a distance may not
        same = jnp.all(a == b, axis=(1, 2, 3))[:, None, None]
        found = []
        both = self.activations(jnp.concatenate([a, b]), normalize)
        for features, head in zip(both, self.heads, strict=True):
            x, y = jnp.split(_unit(features), 2)
            weights = head[...] if heads else jnp.ones_like(head[...])
            weights = weights.astype(x.dtype)
            distance = jnp.einsum("nhwc,c->nhw", jnp.square(x - y), weights, precision=PRECISION)
            found.append(jnp.where(same, 0, distance))
        return tuple(found)

    def layers(
        self,
        a: Float[Array, "n h w c"],
        b: Float[Array, "n h w c"],
        normalize: bool = False,
        heads: bool = True,
    ) -> Float[Array, "l n"]:
        """Returns each layer's part of the distance; arguments as of `maps`."""
        return jnp.stack([jnp.mean(m, axis=(1, 2)) for m in self.maps(a, b, normalize, heads)])

    def __call__(
        self,
        a: Float[Array, "n h w c"],
        b: Float[Array, "n h w c"],
        normalize: bool = False,
        heads: bool = True,
    ) -> Float[Array, " n"]:
        """Returns the distance of each pair of images; arguments as of `maps`."""
        return jnp.sum(self.layers(a, b, normalize, heads), axis=0)

    def spatial(
        self,
        a: Float[Array, "n h w c"],
        b: Float[Array, "n h w c"],
        normalize: bool = False,
        heads: bool = True,
    ) -> Float[Array, "n h w"]:
        """Returns the distance at each pixel of the images; arguments as of `maps`."""
        height, width = a.shape[1:3]
        maps = self.maps(a, b, normalize, heads)
        large = [resize(m[..., None], height, width, align_corners=False)[..., 0] for m in maps]
        return sum(large[1:], large[0])

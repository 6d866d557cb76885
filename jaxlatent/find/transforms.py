"""Image transformations for walks to imitate: brightness, colour, zoom, shift, rotation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from jaxlatent.errors import UserError

Images = Float[Array, "n h w c"]
Amounts = Float[Array, " n"]
Mask = Float[Array, "n h w 1"]
Apply = Callable[[Images, Amounts], tuple[Images, Mask]]


@dataclass(frozen=True)
class Transform:
    """A transformation of images by an amount, and the amounts that are tried.

    Attributes:
        apply: function of images and one amount for each, in JAX, to the transformed images and a
            mask [n, h, w, 1] of the pixels that are known, 1 or 0. An amount of 0 changes nothing.
        low: smallest amount, at most 0.
        high: largest amount, at least 0.

    Example:
        >>> def contrast(images, amounts):
        ...     factor = jnp.exp(amounts)[:, None, None, None]
        ...     return factor * images, jnp.ones_like(images[..., :1])
        >>> Transform(contrast, -0.5, 0.5).high
        0.5
    """

    apply: Apply
    low: float
    high: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= 0 <= self.high < math.inf or self.low == self.high:
            raise UserError(
                f"amounts must lie on either side of 0, or on one, got {self.low} to {self.high}"
            )


def brightness(images: Images, amounts: Amounts) -> tuple[Images, Mask]:
    """Adds the amount to every channel; images reach from -1 to 1."""
    return images + amounts[:, None, None, None], jnp.ones_like(images[..., :1])


def colour(images: Images, amounts: Amounts, channel: int) -> tuple[Images, Mask]:
    """Adds the amount to one channel."""
    one = jax.nn.one_hot(channel, images.shape[-1], dtype=images.dtype)
    return images + amounts[:, None, None, None] * one[None, None, None], jnp.ones_like(
        images[..., :1]
    )


def zoom(images: Images, amounts: Amounts) -> tuple[Images, Mask]:
    """Enlarges around the centre by e to the amount."""
    matrices = jnp.exp(-amounts)[:, None, None] * jnp.eye(2)[None]
    return warp(images, matrices, jnp.zeros((images.shape[0], 2)))


def rotate(images: Images, amounts: Amounts) -> tuple[Images, Mask]:
    """Turns around the centre, anticlockwise, by the amount in radians."""
    c, s = jnp.cos(amounts), jnp.sin(amounts)
    matrices = jnp.stack([jnp.stack([c, s], -1), jnp.stack([-s, c], -1)], axis=1)
    return warp(images, matrices, jnp.zeros((images.shape[0], 2)))


def shift(images: Images, amounts: Amounts, axis: int) -> tuple[Images, Mask]:
    """Moves down (axis 0) or right (axis 1) by the amount, a share of the side."""
    sides = jnp.asarray(images.shape[1:3], images.dtype)
    away = jax.nn.one_hot(axis, 2, dtype=images.dtype) * sides
    matrices = jnp.broadcast_to(jnp.eye(2)[None], (images.shape[0], 2, 2))
    return warp(images, matrices, -amounts[:, None] * away[None])


def warp(
    images: Images, matrices: Float[Array, "n 2 2"], offsets: Float[Array, "n 2"]
) -> tuple[Images, Mask]:
    """Reads every pixel at `matrix @ place + offset`, bilinearly, around the images' centre.

    Args:
        images: the images.
        matrices: of (row, column), one for each image.
        offsets: in pixels.

    Returns:
        The images, and where what was read lies inside of them.

    Example:
        >>> image = jnp.array([[[[1.0], [2.0], [4.0]]]])
        >>> moved, mask = warp(image, jnp.eye(2)[None], jnp.array([[0.0, 1.0]]))
        >>> moved.ravel().tolist(), mask.ravel().tolist()
        ([2.0, 4.0, 4.0], [1.0, 1.0, 0.0])
    """
    height, width = images.shape[1:3]
    centre = jnp.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"))
    places = jnp.einsum("nij,jhw->nihw", matrices, grid - centre, precision="highest")
    places = places + offsets[:, :, None, None] + centre[None]
    plane = partial(map_coordinates, order=1, mode="nearest")
    channels = jax.vmap(plane, in_axes=(-1, None), out_axes=-1)
    moved = jax.vmap(lambda image, place: channels(image, [place[0], place[1]]))(images, places)
    limits = jnp.array([height - 1, width - 1])[None, :, None, None]
    inside = jnp.all((places >= -1e-4) & (places <= limits + 1e-4), axis=1)
    return moved, inside[..., None].astype(images.dtype)


TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        "brightness": Transform(brightness, -0.5, 0.5),
        "red": Transform(partial(colour, channel=0), -0.5, 0.5),
        "green": Transform(partial(colour, channel=1), -0.5, 0.5),
        "blue": Transform(partial(colour, channel=2), -0.5, 0.5),
        "zoom": Transform(zoom, -math.log(4), math.log(4)),
        "shift down": Transform(partial(shift, axis=0), -0.25, 0.25),
        "shift right": Transform(partial(shift, axis=1), -0.25, 0.25),
        "rotate": Transform(rotate, -math.pi / 4, math.pi / 4),
    }
)

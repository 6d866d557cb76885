"""What an inversion minimises: terms, functions of a batch to one number for each image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError


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
    codes: Float[Array, "n L e"]
    noise: tuple[Float[Array, "n _ _"], ...] = ()


Term = Callable[[View], Float[Array, " n"]]


def total(
    terms: Sequence[tuple[Any, Term]], view: View
) -> tuple[Float[Array, " n"], Float[Array, "t n"]]:
    """Returns the weighted sum of the terms, and the terms."""
    values = jnp.stack([term(view) for _, term in terms])
    weights = jnp.array([weight for weight, _ in terms])
    return (weights[:, None] * values).sum(0), values


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["power"])
@dataclass(frozen=True)
class Pixels:
    """Mean absolute or squared difference of pixels.

    Attributes:
        power: 1 or 2.

    Example:
        >>> x = jnp.zeros((1, 2, 2, 3))
        >>> Pixels(2)(View(x + 2, x, x[..., 0], x[..., 0])).tolist()
        [4.0]
    """

    power: int = 2

    def __post_init__(self) -> None:
        if self.power not in (1, 2):
            raise UserError(f"power must be 1 or 2, got {self.power}")

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        difference = view.images - view.targets
        of_each = jnp.abs(difference) if self.power == 1 else jnp.square(difference)
        return of_each.mean((1, 2, 3))


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


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["side", "floor"])
@dataclass(frozen=True)
class Downscaled:
    """Mean squared difference in [0, 1] of images made small, but no less than `floor` (PULSE).

    Menon et al. 2020, arXiv:2003.03808.

    Attributes:
        side: of the small images in pixels.
        floor: below which images count as the same.
    """

    side: int
    floor: float = 0.0

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        n, *_, channels = view.images.shape
        shape = (n, self.side, self.side, channels)
        small = jax.image.resize((view.images - view.targets) / 2, shape, "cubic")
        return jnp.maximum(jnp.square(small).mean((1, 2, 3)), self.floor)

"""Kernels of convolutions with what can be computed of them once, before any image."""

from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.generators.winograd import Tiles, transformed

_FEWEST = 128  # channels with which Winograd's filtering gains on CPUs
_SMALLEST = 128  # pixels, of all images together, from which on it does


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prepared:
    """A kernel that stands where a network keeps an array.

    Attributes:
        kernel: as it is stored.
        energy: sums of squares over the kernel's places, which demodulation needs.
        winograd: transformed for Winograd's filtering; `None` for kernels that gain nothing by it.
            Arrays of their own, since slices of one would be copied for every image.
        half: in bfloat16, in which it is then applied; `None` for full precision.
        factor: of the outputs, one or [1, 1, 1, o], if any; multiplying the kernel changes this.
    """

    kernel: Float[Array, "kh kw i o"]
    energy: Float[Array, "i o"]
    winograd: Tiles | None
    half: Array | None
    factor: Array | float | None = None

    @classmethod
    def of(cls, kernel: Float[Array, "kh kw i o"], half: bool, winograd: bool) -> "Prepared":
        """Computes what a kernel needs; `winograd` only where it is of use."""
        wide = _wide(kernel)
        fits = kernel.shape[:2] == (3, 3) and min(kernel.shape[2:]) >= _FEWEST
        return cls(
            kernel,
            jnp.sum(jnp.square(wide), axis=(0, 1)),
            transformed(wide) if winograd and fits and not half else None,
            kernel.astype(jnp.bfloat16) if half else None,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel."""
        return self.kernel.shape

    def __getitem__(self, index: EllipsisType) -> "Prepared":
        return self  # as `variable[...]` of an array is the array

    def __mul__(self, factor: Any) -> "Prepared":
        """Scales the kernel by a number, or by [1, 1, 1, o], each output channel by its own."""
        return replace(self, factor=factor if self.factor is None else self.factor * factor)


Kernel = Array | Prepared


def plain(kernel: Any) -> Any:
    """Returns the stored array of a kernel that is prepared, and anything else as it is."""
    return kernel.kernel if isinstance(kernel, Prepared) else kernel


def energy(kernel: Kernel) -> Float[Array, "i o"]:
    """Returns the sums of a kernel's squares over its places."""
    if isinstance(kernel, Prepared):
        own, factor = kernel.energy, kernel.factor
        return own if factor is None else own * jnp.square(factor).reshape(1, -1)
    return jnp.sum(jnp.square(_wide(kernel)), axis=(0, 1))


def _wide(kernel: Array) -> Array:
    return kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))


def gains_by_winograd(kernel: Prepared, x: Float[Array, "n h w i"]) -> bool:
    """Whether a 3x3 convolution of `x` is faster so, in float32 and with many pixels."""
    pixels = x.shape[0] * x.shape[1] * x.shape[2]
    return kernel.winograd is not None and x.dtype == jnp.float32 and pixels >= _SMALLEST


def rescaled(y: Float[Array, "n h w o"], kernel: Kernel) -> Float[Array, "n h w o"]:
    """Multiplies what the stored kernel gave by the factor, if there is one."""
    factor = kernel.factor if isinstance(kernel, Prepared) else None
    return y if factor is None else y * jnp.asarray(factor, y.dtype)

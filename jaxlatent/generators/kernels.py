"""Kernels of convolutions with what can be computed of them once, before any image."""

from dataclasses import dataclass, replace
from functools import partial
from types import EllipsisType
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.generators.layers import at_least_float32


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prepared:
    """A kernel that stands where a network keeps an array.

    Attributes:
        kernel: as it is stored.
        energy: sums of squares over the kernel's places, which demodulation needs.
        parts: `Winograd`, `Phases` or `Sums` of it, if the layer's operator is faster with one;
            arrays of their own, since slices of one would be copied for every image.
        half: in bfloat16, in which it is then applied; `None` for full precision.
        factor: of the outputs, one or [1, 1, 1, o], if any; multiplying the kernel changes this.
    """

    kernel: Float[Array, "kh kw i o"]
    energy: Float[Array, "i o"]
    parts: tuple[Any, ...] | None
    half: Array | None
    factor: Array | float | None = None

    @classmethod
    def of(
        cls, kernel: Float[Array, "kh kw i o"], split: Any = None, half: bool = False
    ) -> "Prepared":
        """Computes what a kernel needs; `split` is the class of its parts."""
        return cls(kernel, *_computed(kernel, split, half))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel."""
        return self.kernel.shape

    def __getitem__(self, index: EllipsisType) -> "Prepared":
        return self  # as `variable[...]` of an array is the array

    def __mul__(self, factor: Any) -> "Prepared":
        """Scales the kernel by a number, or by [1, 1, 1, o], each output channel by its own."""
        return replace(self, factor=factor if self.factor is None else self.factor * factor)


@partial(jax.jit, static_argnames=("split", "half"))
def _computed(
    kernel: Array, split: Any, half: bool
) -> tuple[Array, tuple[Any, ...] | None, Array | None]:
    """Returns energy, parts and half precision, in one program for all kernels of a shape."""
    parts = split.of(at_least_float32(kernel)) if split else None
    return energy(kernel), parts, kernel.astype(jnp.bfloat16) if half else None


Kernel = Array | Prepared


def plain(kernel: Any) -> Any:
    """Returns the stored array of a kernel that is prepared, and anything else as it is."""
    return kernel.kernel if isinstance(kernel, Prepared) else kernel


def parts_of(kernel: Kernel) -> tuple[Any, ...] | None:
    """Returns the parts of a kernel that is prepared and has some."""
    return kernel.parts if isinstance(kernel, Prepared) else None


def energy(kernel: Kernel) -> Float[Array, "i o"]:
    """Returns the sums of a kernel's squares over its places."""
    if isinstance(kernel, Prepared):
        own, factor = kernel.energy, kernel.factor
        return own if factor is None else own * jnp.square(factor).reshape(1, -1)
    return jnp.sum(jnp.square(at_least_float32(kernel)), axis=(0, 1))


def rescaled(y: Float[Array, "n h w o"], kernel: Kernel) -> Float[Array, "n h w o"]:
    """Multiplies what the stored kernel gave by the factor, if there is one."""
    factor = kernel.factor if isinstance(kernel, Prepared) else None
    return y if factor is None else y * jnp.asarray(factor, y.dtype)

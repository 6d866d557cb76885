"""A chart of W in which codes are standard normal (PULSE, Menon et al. 2020, arXiv:2003.03808)."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator

_SLOPE = 0.2  # of the leaky ReLU that ends StyleGANs' mapping
_CHUNK = 10_000  # samples mapped at once


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Whitened:
    """w as a leaky ReLU of a Gaussian, each of whose numbers has a mean and a deviation.

    Attributes:
        mean: of w with its last activation undone.
        deviation: of the same.

    Example:
        >>> chart = Whitened(jnp.array([1.0, -1.0]), jnp.array([2.0, 2.0]))
        >>> print(chart(jnp.array([1.0, -1.0])))
        [ 3.  -0.6]
        >>> print(chart.inverse(chart(jnp.array([1.0, -1.0]))))
        [ 1. -1.]
    """

    mean: Float[Any, " d"]
    deviation: Float[Any, " d"]

    @classmethod
    def of(cls, generator: Generator, samples: int = 1_000_000) -> "Whitened":
        """Fits the chart to samples of w.

        Args:
            generator: one with a mapping network and without classes.
            samples: how many; a million as published.

        Raises:
            UserError: if the generator has no W, or one for each class.
        """
        if "w" not in generator.spaces or generator.num_classes:
            raise UserError("the chart is of W: it needs a mapping network, and no classes")
        if samples < 2:
            raise UserError(f"samples must be at least 2, got {samples}")
        count, mean, square = 0, np.zeros(generator.code_dim), np.zeros(generator.code_dim)
        for number, first in enumerate(range(0, samples, _CHUNK)):
            n = min(_CHUNK, samples - first)
            key = jax.random.fold_in(jax.random.key(0), number)
            x = np.asarray(_undone(generator, key, n), np.float64)
            away = x.mean(0) - mean  # sums of chunks are joined as Chan et al. 1979 do
            square += np.square(x - x.mean(0)[None]).sum(0) + away**2 * (count * n / (count + n))
            mean, count = mean + away * (n / (count + n)), count + n
        deviation = np.sqrt(square / (count - 1))
        return cls(jnp.asarray(mean, jnp.float32), jnp.asarray(deviation, jnp.float32))

    def __call__(self, code: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """Returns w."""
        shape = (1,) * (code.ndim - 1) + (-1,)
        x = code * self.deviation.reshape(shape) + self.mean.reshape(shape)
        return jax.nn.leaky_relu(x, _SLOPE)

    def inverse(self, w: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """Returns the point of the chart that `w` comes from."""
        shape = (1,) * (w.ndim - 1) + (-1,)
        return (unslope(w) - self.mean.reshape(shape)) / self.deviation.reshape(shape)


def unslope(w: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Undoes a leaky ReLU of slope 0.2, the last step of StyleGANs' mapping.

    Example:
        >>> unslope(jnp.array([-1.0, 1.0])).tolist()
        [-5.0, 1.0]
    """
    return jnp.where(w < 0, w / _SLOPE, w)


def _undone(generator: Generator, key: Array, n: int) -> Float[Array, "n d"]:
    return _mapped(generator, jax.random.split(key, n))


@jax.jit
def _mapped(generator: Generator, keys: Array) -> Float[Array, "n d"]:
    return unslope(generator.map(generator.sample_z(keys, keys.shape[0])))

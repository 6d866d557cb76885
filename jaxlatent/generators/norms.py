"""Batch normalisation with stored statistics (Ioffe and Szegedy 2015, arXiv:1502.03167)."""

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.model import Buffer


class BatchNorm(nnx.Module):
    """Batch normalisation with stored statistics.

    Example:
        >>> BatchNorm(3, epsilon=1e-5)(jnp.zeros((1, 4, 4, 3))).shape
        (1, 4, 4, 3)
    """

    def __init__(self, channels: int, epsilon: float) -> None:
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.mean = Buffer(jnp.zeros(channels))
        self.variance = Buffer(jnp.ones(channels))
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Normalises with the stored statistics."""
        scale = self.scale[...] * lax.rsqrt(self.variance[...] + self.epsilon)
        scale, bias, mean = (
            v.astype(x.dtype)[None, None, None] for v in (scale, self.bias[...], self.mean[...])
        )
        return (x - mean) * scale + bias

"""Self-attention over an image's positions (SAGAN, Zhang et al. 2019, arXiv:1805.08318)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.layers import PRECISION


class SelfAttention(nnx.Module):
    """Adds to each position what it attends to; the scores are not divided by a root of the width.

    The originals halve the side of keys and values by taking maxima, and have no biases.

    Attributes:
        theta: kernel of the queries, [1, 1, c, c // 8].
        phi: of the keys, likewise.
        g: of the values, [1, 1, c, c // 2].
        o: of the output, [1, 1, c // 2, c].
        gamma: what the output is multiplied by before it is added; a number.

    Example:
        >>> attention = SelfAttention(8, rngs=nnx.Rngs(0))
        >>> attention(jnp.ones((2, 4, 4, 8))).shape
        (2, 4, 4, 8)
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        def kernel(inputs: int, outputs: int) -> nnx.Param:
            return nnx.Param(0.02 * jax.random.normal(rngs.params(), (1, 1, inputs, outputs)))

        self.theta = kernel(channels, channels // 8)
        self.phi = kernel(channels, channels // 8)
        self.g = kernel(channels, channels // 2)
        self.o = kernel(channels // 2, channels)
        self.gamma = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Applies attention; computes in the dtype of `x`."""
        n, h, w, _ = x.shape
        queries = _listed(conv(x, self.theta[...], (0, 0)))
        keys, values = (_halved(conv(x, k[...], (0, 0))) for k in (self.phi, self.g))
        scores = jnp.einsum("nqc,nkc->nqk", queries, keys, precision=PRECISION)
        shares = jax.nn.softmax(scores, axis=-1)
        mixed = jnp.einsum("nqk,nkc->nqc", shares, values, precision=PRECISION)
        return x + self.gamma[...].astype(x.dtype) * conv(
            mixed.reshape(n, h, w, mixed.shape[-1]), self.o[...], (0, 0)
        )


def _halved(x: Float[Array, "n h w c"]) -> Float[Array, "n k c"]:
    """Takes the maximum of each 2x2 patch, and lists the positions; an odd last row is left out."""
    n, h, w, c = x.shape
    patches = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
    return _listed(patches.max(axis=(2, 4)))


def _listed(x: Float[Array, "n h w c"]) -> Float[Array, "n k c"]:
    n, h, w, c = x.shape
    return x.reshape(n, h * w, c)

"""Self-attention against a plain NumPy computation of its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlatent.generators.attention import SelfAttention


def filled(channels: int) -> SelfAttention:
    attention, random = SelfAttention(channels, rngs=nnx.Rngs(0)), np.random.RandomState(0)
    for name in ("theta", "phi", "g", "o", "gamma"):
        parameter = getattr(attention, name)
        parameter[...] = jnp.asarray(random.standard_normal(parameter.shape), jnp.float32)
    return attention


def expected(attention: SelfAttention, image: np.ndarray) -> np.ndarray:
    """Computes position by position, in float64."""
    theta, phi, g, o = (
        np.asarray(getattr(attention, k)[...], np.float64)[0, 0] for k in ("theta", "phi", "g", "o")
    )
    h, w, _ = image.shape
    places = [(i, j) for i in range(0, h - 1, 2) for j in range(0, w - 1, 2)]
    keys = np.array([(image[i : i + 2, j : j + 2] @ phi).max((0, 1)) for i, j in places])
    values = np.array([(image[i : i + 2, j : j + 2] @ g).max((0, 1)) for i, j in places])
    result = image.copy()
    for i in range(h):
        for j in range(w):
            shares = np.exp(keys @ (image[i, j] @ theta))
            result[i, j] += float(attention.gamma[...]) * (shares / shares.sum()) @ values @ o
    return result


@pytest.mark.parametrize("shape", [(4, 6), (5, 4)])
def test_attention_is_its_formula(shape):
    attention = filled(16)
    images = np.random.RandomState(1).standard_normal((2, *shape, 16))
    ours = jax.jit(lambda a, x: a(x))(attention, jnp.asarray(images, jnp.float32))
    theirs = np.stack([expected(attention, image) for image in images])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_attention_computes_in_the_dtype_of_its_input():
    assert filled(8)(jnp.ones((1, 4, 4, 8), jnp.bfloat16)).dtype == jnp.bfloat16

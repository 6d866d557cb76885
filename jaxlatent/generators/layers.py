"""What the generators' layers share besides convolutions: activations, norms, dense layers.

Every function computes in the dtype of its input and casts the parameters to it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

PRECISION = lax.Precision.HIGHEST  # float32 throughout


def leaky_relu(x: Array) -> Array:
    """Multiplies what is not positive by 0.2."""
    return jnp.where(x > 0, x, 0.2 * x)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], float]] = {
    # name: function, and the gain that keeps the variance (StyleGAN2-ADA's table)
    "linear": (lambda x: x, 1.0),
    "relu": (jax.nn.relu, 2**0.5),
    "lrelu": (leaky_relu, 2**0.5),
    "tanh": (jnp.tanh, 1.0),
    "sigmoid": (jax.nn.sigmoid, 1.0),
    "elu": (jax.nn.elu, 1.0),
    "selu": (jax.nn.selu, 1.0),
    "softplus": (jax.nn.softplus, 1.0),
    "swish": (jax.nn.swish, 2**0.5),
}


def at_least_float32(parameter: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Returns a parameter stored in half precision as float32, before it is scaled."""
    return parameter.astype(jnp.promote_types(parameter.dtype, jnp.float32))


def dense(
    x: Float[Array, "n i"], weight: Float[Array, "i o"], bias: Float[Array, " o"] | None = None
) -> Float[Array, "n o"]:
    """Multiplies by `weight` and adds `bias`."""
    y = jnp.matmul(x, weight.astype(x.dtype), precision=PRECISION)
    return y if bias is None else y + bias.astype(x.dtype)[None]


def second_moment_norm(x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
    """Scales each row, or each pixel, to a mean square of 1 ("pixel norm")."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-8)


def instance_norm(x: Float[Array, "n h w c"], epsilon: float) -> Float[Array, "n h w c"]:
    """Shifts and scales each channel of each sample to mean 0 and variance 1."""
    x = x - jnp.mean(x, axis=(1, 2), keepdims=True)
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=(1, 2), keepdims=True) + epsilon)


def bias_act(
    x: Float[Array, "n *s c"],
    bias: Float[Array, " c"] | None,
    activation: str,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Float[Array, "n *s c"]:
    """Adds the bias, activates, multiplies by the activation's gain and `gain`, clamps.

    The clamp is scaled by `gain` too, as StyleGAN2-ADA does.
    """
    function, own_gain = ACTIVATIONS[activation]
    if bias is not None:
        x = x + bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    x = function(x) * (own_gain * gain)
    return x if clamp is None else jnp.clip(x, -clamp * gain, clamp * gain)

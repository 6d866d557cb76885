"""Operators shared by the generators: NHWC images, HWIO kernels, full float32 precision.

Every function computes in the dtype of its input and casts the parameters to it.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

PRECISION = lax.Precision.HIGHEST
_NHWC = ("NHWC", "HWIO", "NHWC")


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


def conv(
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "kh kw i o"],
    padding: tuple[int, int],
    dilation: int = 1,
    stride: int = 1,
) -> Float[Array, "n h2 w2 o"]:
    """Correlates with `kernel`.

    Args:
        x: the input, into which `dilation - 1` zeros are inserted between neighbours.
        kernel: the kernel.
        padding: zeros added below and above on both axes.
        dilation: the stride of the transposed convolution that this computes.
        stride: every how many pixels the kernel is applied.
    """
    return lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        window_strides=(stride, stride),
        padding=(padding, padding),
        lhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
        precision=PRECISION,
    )


def _shifted(x: Array, axis: int, start: int, length: int) -> Array:
    """Returns `x[start : start + length]` along `axis`, zero outside of `x`."""
    size = x.shape[axis]
    low, high = max(0, -start), max(0, start + length - size)
    if low or high:
        x = jnp.pad(x, [(low, high) if a == axis else (0, 0) for a in range(x.ndim)])
    return lax.slice_in_dim(x, start + low, start + low + length, axis=axis)


def fir(
    x: Float[Array, "n h w c"], taps: Sequence[float], low: int, high: int
) -> Float[Array, "n h2 w2 c"]:
    """Convolves both axes with `taps`, after padding with `low` and `high` zeros.

    Negative padding crops. Written as shifts and adds: a depthwise convolution is far slower.
    """
    for axis in (1, 2):
        length = x.shape[axis] + low + high - len(taps) + 1
        terms = [t * _shifted(x, axis, i - low, length) for i, t in enumerate(reversed(taps))]
        x = sum(terms[1:], terms[0])
    return x


def upsample(x: Float[Array, "n h w c"], taps: Sequence[float]) -> Float[Array, "n h2 w2 c"]:
    """Doubles the resolution and filters with `taps` (which sum to 1), keeping the mean.

    Each of the two phases of an axis sees only every other tap.
    """
    flipped = [2 * t for t in reversed(taps)]
    low = (len(taps) + 1) // 2
    for axis in (1, 2):
        size = x.shape[axis]
        phases = []
        for phase in (0, 1):
            terms = [
                t * _shifted(x, axis, (phase + i - low) // 2, size)
                for i, t in enumerate(flipped)
                if (phase + i - low) % 2 == 0
            ]
            phases.append(sum(terms[1:], terms[0]) if terms else jnp.zeros_like(x))
        shape = (*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])
        x = jnp.stack(phases, axis + 1).reshape(shape)
    return x


def up_conv(
    x: Float[Array, "n h w i"], kernel: Float[Array, "3 3 i o"], taps: Sequence[float]
) -> Float[Array, "n h2 w2 o"]:
    """Doubles the resolution by a transposed convolution, then filters with `taps`.

    Args:
        x: the input.
        kernel: of the equal correlation, that is, already flipped.
        taps: the filter, sum 1.
    """
    y = conv(x, kernel, (2, 2), dilation=2)
    count = len(taps)
    return fir(y, [2 * t for t in taps], (count + 1) // 2 - 1, (count - 2) // 2)


def second_moment_norm(x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
    """Scales each row, or each pixel, to a mean square of 1 ("pixel norm")."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-8)


def instance_norm(x: Float[Array, "n h w c"], epsilon: float) -> Float[Array, "n h w c"]:
    """Shifts and scales each channel of each sample to mean 0 and variance 1."""
    x = x - jnp.mean(x, axis=(1, 2), keepdims=True)
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=(1, 2), keepdims=True) + epsilon)


def repeat_pixels(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Doubles the resolution, each pixel becoming four."""
    n, h, w, c = x.shape
    wide = jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c))
    return wide.reshape(n, 2 * h, 2 * w, c)


def modulated_conv(
    x: Float[Array, "n h w i"],
    kernel: Float[Array, "k k i o"],
    style: Float[Array, "n i"],
    demodulate: bool = True,
    up_taps: Sequence[float] | None = None,
    padding: int | None = None,
) -> Float[Array, "n h2 w2 o"]:
    """Convolves with a kernel whose input channels each sample scales by its style.

    Scaling the activations, sharing one convolution and rescaling the outputs gives what
    per-sample kernels give, without a grouped convolution (StyleGAN2, arXiv:1912.04958, sec. 2.2).

    Args:
        x: the input.
        kernel: shared by all samples.
        style: one factor for each sample and input channel.
        demodulate: whether each output channel's kernel is scaled to unit norm.
        up_taps: filter of an up-sampling convolution; `None` keeps the resolution.
        padding: zeros around a convolution that keeps the resolution; `None` keeps the size too.
    """
    kernel = kernel.astype(x.dtype)
    scaled = x * style[:, None, None, :]
    pad = (kernel.shape[0] - 1) // 2 if padding is None else padding
    y = conv(scaled, kernel, (pad, pad)) if up_taps is None else up_conv(scaled, kernel, up_taps)
    if demodulate:
        energy = jnp.sum(jnp.square(kernel), axis=(0, 1))
        norm = lax.rsqrt(dense(jnp.square(style), energy) + 1e-8)
        y = y * norm[:, None, None, :]
    return y


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


def upsample_bilinear(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Doubles the resolution by linear interpolation between pixel centres, edges repeated.

    What torch's `interpolate` does without `align_corners`; written as shifts and adds.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        first, last = (lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, size - 1))
        before = jnp.concatenate([first, lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis)
        after = jnp.concatenate([lax.slice_in_dim(x, 1, size, axis=axis), last], axis)
        phases = [0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after]
        shape = (*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])
        x = jnp.stack(phases, axis + 1).reshape(shape)
    return x

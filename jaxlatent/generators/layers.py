"""Operators shared by the generators: NHWC images, HWIO kernels, full float32 precision.

Every function computes in the dtype of its input and casts the parameters to it.
"""

from collections.abc import Callable, Sequence
from typing import cast

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.generators.kernels import (
    Kernel,
    Prepared,
    energy,
    gains_by_winograd,
    plain,
    rescaled,
)
from jaxlatent.generators.winograd import Tiles, convolve

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


def _correlate(
    x: Array,
    kernel: Array,
    padding: Sequence[tuple[int, int]],
    dilation: int = 1,
    stride: int = 1,
) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
        precision=PRECISION,
    )


def conv(
    x: Float[Array, "n h w i"],
    kernel: Kernel,
    padding: tuple[int, int],
    dilation: int = 1,
    stride: int = 1,
) -> Float[Array, "n h2 w2 o"]:
    """Correlates with `kernel`.

    Args:
        x: the input, into which `dilation - 1` zeros are inserted between neighbours.
        kernel: [kh, kw, i, o].
        padding: zeros added below and above on both axes.
        dilation: the stride of the transposed convolution that this computes.
        stride: every how many pixels the kernel is applied.
    """
    if not isinstance(kernel, Prepared):
        return _correlate(x, kernel, (padding, padding), dilation, stride)
    low, high = padding
    if gains_by_winograd(kernel, x) and low == high and dilation == stride == 1:
        y = convolve(x, cast(Tiles, kernel.winograd), low)
    elif kernel.half is not None:
        half = x.astype(kernel.half.dtype)
        y = _correlate(half, kernel.half, (padding, padding), dilation, stride).astype(x.dtype)
    else:
        y = _correlate(x, kernel.kernel, (padding, padding), dilation, stride)
    return rescaled(y, kernel)


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
    x: Float[Array, "n h w i"], kernel: Kernel, taps: Sequence[float]
) -> Float[Array, "n h2 w2 o"]:
    """Doubles the resolution by a transposed convolution, then filters with `taps`.

    On CPUs the even and odd rows and columns between the two never are interleaved.

    Args:
        x: the input.
        kernel: [3, 3, i, o], of the equal correlation, that is, already flipped.
        taps: the filter, sum 1.
    """
    if jax.default_backend() == "cpu":
        return rescaled(_up_by_phases(x, plain(kernel), taps), kernel)
    y = conv(x, kernel, (2, 2), dilation=2)
    count = len(taps)
    return fir(y, [2 * t for t in taps], (count + 1) // 2 - 1, (count - 2) // 2)


def _up_by_phases(x: Array, kernel: Array, taps: Sequence[float]) -> Array:
    """Filters the rows and columns of each parity apart, which come from different taps.

    The convolutions compute what the filter needs beyond the edges: padding would slow it down.
    """
    before, after = _reach(taps)
    even, odd = (slice(0, 3, 2), (1 + before, after)), (slice(1, 2), (before, after))
    parts = [
        [_correlate(x, kernel[down, across], (rows, columns)) for across, columns in (even, odd)]
        for down, rows in (even, odd)
    ]
    filtered = [_filtered(of, taps, 1, x.shape[1]) for of in zip(*parts, strict=True)]
    pairs = [_filtered(of, taps, 2, x.shape[2]) for of in zip(*filtered, strict=True)]
    n, h, w, _ = x.shape
    wide = [jnp.stack(pair, axis=3) for pair in pairs]
    return jnp.stack(wide, axis=2).reshape(n, 2 * h, 2 * w, -1)


def _places(taps: Sequence[float], phase: int) -> list[int]:
    """Returns the elements that are filtered to the first even, or odd, element."""
    return [phase + i + 1 - (len(taps) + 1) // 2 for i in range(len(taps))]


def _reach(taps: Sequence[float]) -> tuple[int, int]:
    """Returns how many elements of a parity the filter needs before and after those there are."""
    places = [place // 2 for phase in (0, 1) for place in _places(taps, phase)]
    return -min(places), max(places)


def _filtered(phases: Sequence[Array], taps: Sequence[float], axis: int, size: int) -> list[Array]:
    """Returns even and odd elements of the filtered sequence, from those of the sequence."""
    before, _ = _reach(taps)
    found = []
    for phase in (0, 1):
        terms = []
        for tap, place in zip(reversed(taps), _places(taps, phase), strict=True):
            start = place // 2 + before
            part = lax.slice_in_dim(phases[place % 2], start, start + size, axis=axis)
            terms.append(2 * tap * part)
        found.append(sum(terms[1:], terms[0]))
    return found


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


def doubled_conv(x: Float[Array, "n h w i"], kernel: Kernel) -> Float[Array, "n h2 w2 o"]:
    """Repeats pixels to double the resolution, then correlates with a 3x3 kernel, zero padded.

    On each axis the two outputs of pixel x between neighbours a and b are k0 a + (k1 + k2) x and
    (k0 + k1) x + k2 b, that is s + k0 (a - x) and s + k2 (b - x) with s = (k0 + k1 + k2) x: three
    products for two outputs, nine for four in two dimensions, where the convolution takes 36.
    CPUs compute it so.
    """
    if jax.default_backend() != "cpu":
        return conv(repeat_pixels(x), kernel, (1, 1))
    sums, n, h, w = plain(kernel), *x.shape[:3]
    for axis in (0, 1):
        first, _, last = jnp.split(sums, 3, axis)
        sums = jnp.concatenate([first, jnp.sum(sums, axis, keepdims=True), last], axis)
    parts = x[None, None]
    for axis in (0, 1):  # [differences in height, in width, n, h, w, i]
        along = axis + 3
        before, after = (_shifted(parts, along, by, x.shape[axis + 1]) for by in (-1, 1))
        parts = jnp.concatenate([before - parts, parts, after - parts], axis)
    sums = sums.astype(x.dtype).reshape(9, *sums.shape[2:])
    y = jnp.matmul(parts.reshape(9, -1, x.shape[3]), sums, precision=PRECISION)
    y = y.reshape(3, 3, n, h, w, -1)
    y = y[:2] + y[1:]
    y = y[:, :2] + y[:, 1:]
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(n, 2 * h, 2 * w, -1)
    return rescaled(y, kernel)


def modulated_conv(
    x: Float[Array, "n h w i"],
    kernel: Kernel,
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
        kernel: [k, k, i, o], shared by all samples.
        style: one factor for each sample and input channel.
        demodulate: whether each output channel's kernel is scaled to unit norm.
        up_taps: filter of an up-sampling convolution; `None` keeps the resolution.
        padding: zeros around a convolution that keeps the resolution; `None` keeps the size too.
    """
    scaled = x * style[:, None, None, :]
    pad = (kernel.shape[0] - 1) // 2 if padding is None else padding
    y = conv(scaled, kernel, (pad, pad)) if up_taps is None else up_conv(scaled, kernel, up_taps)
    if demodulate:
        norm = lax.rsqrt(dense(jnp.square(style), energy(kernel)) + 1e-8)
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

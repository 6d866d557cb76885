"""Filters and changes of resolution of NHWC images, written as shifts and adds."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def shifted(x: Array, axis: int, start: int, length: int) -> Array:
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
        terms = [t * shifted(x, axis, i - low, length) for i, t in enumerate(reversed(taps))]
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
                t * shifted(x, axis, (phase + i - low) // 2, size)
                for i, t in enumerate(flipped)
                if (phase + i - low) % 2 == 0
            ]
            phases.append(sum(terms[1:], terms[0]) if terms else jnp.zeros_like(x))
        shape = (*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])
        x = jnp.stack(phases, axis + 1).reshape(shape)
    return x


def repeat_pixels(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Doubles the resolution, each pixel becoming four."""
    n, h, w, c = x.shape
    wide = jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c))
    return wide.reshape(n, 2 * h, 2 * w, c)


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

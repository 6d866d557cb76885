"""Convolutions whose input channels each sample scales by its style."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.kernels import Kernel, energy, plain, rescaled
from jaxlatent.generators.layers import PRECISION, dense
from jaxlatent.generators.up_convolutions import up_conv


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
    if kernel.shape[:2] == (1, 1) and not demodulate:  # few kernels, instead of many pixels
        n, h, w, inputs = x.shape
        kernels = plain(kernel)[0].astype(x.dtype) * style[:, :, None]
        y = jnp.matmul(x.reshape(n, h * w, inputs), kernels, precision=PRECISION)
        return rescaled(y.reshape(n, h, w, kernels.shape[-1]), kernel)
    scaled = x * style[:, None, None, :]
    pad = (kernel.shape[0] - 1) // 2 if padding is None else padding
    y = conv(scaled, kernel, (pad, pad)) if up_taps is None else up_conv(scaled, kernel, up_taps)
    if demodulate:
        norm = lax.rsqrt(dense(jnp.square(style), energy(kernel)) + 1e-8)
        y = y * norm[:, None, None, :]
    return y

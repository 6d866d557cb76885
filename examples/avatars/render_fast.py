"""The library's StyleGAN2 as it is trained: the same images from the same weights, sooner."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from examples.avatars.fast_conv import conv3x3, fast_up_conv
from jaxlatent.generators import StyleGAN2
from jaxlatent.generators.filters import upsample
from jaxlatent.generators.layers import bias_act, dense
from jaxlatent.generators.stylegan2 import StyledConv


def synthesize(generator: StyleGAN2, w: Float[Array, "n d"]) -> Float[Array, "n h w2 c"]:
    """Does what `generator.synthesize(generator.broadcast(w), "none")` does, up to rounding.

    Only for the architecture "skip" and filters of four taps.
    """
    config = generator.config
    const = generator.const[...]
    x = jnp.broadcast_to(const[None], (w.shape[0], *const.shape))
    image = None
    for block in generator.blocks:
        if block.conv0 is not None:
            x = _styled(block.conv0, x, w, config.resample_filter)
        x = _styled(block.conv1, x, w, None)
        rgb = block.torgb(x, block.torgb.affine(w))
        image = rgb if image is None else upsample(image, config.image_filter) + rgb
    return image


def _styled(
    layer: StyledConv,
    x: Float[Array, "n h w i"],
    w: Float[Array, "n d"],
    up_taps: Sequence[float] | None,
) -> Float[Array, "n h2 w2 o"]:
    style, kernel = layer.affine(w), layer.kernel[...]
    scaled = x * style[:, None, None, :]
    y = conv3x3(scaled, kernel) if up_taps is None else fast_up_conv(scaled, kernel, up_taps)
    norm = lax.rsqrt(dense(jnp.square(style), jnp.square(kernel).sum((0, 1))) + 1e-8)
    return bias_act(y * norm[:, None, None, :], layer.bias[...], layer.config.activation)

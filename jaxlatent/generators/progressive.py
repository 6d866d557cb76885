"""What the progressively grown generators share: layers with gain sqrt(2), and levels of detail.

Karras et al. 2018, arXiv:1710.10196.
"""

import math
from collections.abc import Callable, Sequence
from typing import cast

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import MAX_SIDE, State
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import repeat_pixels
from jaxlatent.generators.kernels import Kernel, Prepared, plain
from jaxlatent.generators.layers import ACTIVATIONS, PRECISION, at_least_float32, dense
from jaxlatent.generators.up_convolutions import doubled_conv

GAIN = math.sqrt(2)  # on the weights here, not after the activation as from StyleGAN2 on

OUTPUTS: dict[str, Callable[[Array], Array]] = {"linear": lambda x: x, "tanh": jnp.tanh}


class ScaledDense(nnx.Module):
    """Fully connected layer with an equalised learning rate; its bias is not scaled by `gain`."""

    def __init__(
        self, inputs: int, outputs: int, *, rngs: nnx.Rngs, gain: float = GAIN, lr: float = 1.0
    ) -> None:
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (inputs, outputs)) / lr)
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.lr = lr
        self.scale = gain * lr / math.sqrt(inputs)

    def matrix(self) -> Float[Array, "i o"]:
        """The weights as they act on the input."""
        return self.weight[...] * self.scale

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        """Applies the layer; scales the inputs, which are fewer than the weights."""
        return dense(x * self.scale, self.weight[...], self.bias[...] * self.lr)


def activate(x: Array) -> Array:
    """Applies the leaky ReLU, without a gain."""
    return ACTIVATIONS["lrelu"][0](x)


def scaled(kernel: Kernel, gain: float = GAIN) -> Kernel:
    """Returns a stored kernel, [k, k, i, o], as it acts on the input."""
    kernel = kernel if isinstance(kernel, Prepared) else at_least_float32(kernel)
    return kernel * (gain / math.sqrt(math.prod(kernel.shape[:3])))


class ScaledConv(nnx.Module):
    """Convolution with an equalised learning rate, and bias; `up` repeats pixels before."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        rngs: nnx.Rngs,
        gain: float = GAIN,
        up: bool = False,
    ) -> None:
        shape = (size, size, inputs, outputs)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.gain = gain
        self.up = up

    def matrix(self) -> Float[Array, "k k i o"]:
        """The kernel as it acts on the input."""
        return cast(Array, scaled(plain(self.kernel[...]), self.gain))

    def spread(self, x: Float[Array, "n i"]) -> Float[Array, "n k k o"]:
        """Applies the layer to single pixels, of which each becomes as many as the kernel has."""
        kernel = self.matrix().astype(x.dtype)
        return self._shifted(jnp.einsum("ni,hwio->nhwo", x, kernel, precision=PRECISION))

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the layer."""
        kernel, pad = scaled(self.kernel[...], self.gain), self.kernel.shape[0] // 2
        return self._shifted(doubled_conv(x, kernel) if self.up else conv(x, kernel, (pad, pad)))

    def _shifted(self, x: Float[Array, "n h w o"]) -> Float[Array, "n h w o"]:
        return x + self.bias[...].astype(x.dtype)[None, None, None]


def check_progressive(
    channels: Sequence[int], lod: float, all_images: bool, output_activation: str
) -> None:
    """Raises `UserError` unless a config's levels of detail fit its resolutions."""
    if not channels or min(channels) < 1:
        raise UserError(f"channels must have a number above 0 for each resolution, got {channels}")
    if 4 << (len(channels) - 1) > MAX_SIDE:
        raise UserError(f"images may have a side of {MAX_SIDE} at most, got {len(channels)} blocks")
    most = len(channels) - 1 if all_images else 0
    if not 0 <= lod <= most:
        raise UserError(f"lod must be in [0, {most}], got {lod}")
    if output_activation not in OUTPUTS:
        raise UserError(
            f"output_activation must be one of {sorted(OUTPUTS)}, got {output_activation!r}"
        )


def grow(
    state: State,
    level: int,
    lod: float,
    features: Callable[[Array], Array],
    image: Callable[[Array], Array] | None,
) -> State:
    """Applies one resolution's layers and blends its image with the one before.

    Args:
        state: features and image of the resolution before.
        level: the resolution's level of detail: how often it will still be doubled.
        lod: the level of detail up to which the network has grown; at 0 completely. Between two
            levels, the images of both are mixed.
        features: this resolution's layers.
        image: its image layer.
    """
    if lod >= level + 1:  # not grown to here
        return State(state.features, None if state.image is None else repeat_pixels(state.image))
    x = features(state.features)
    if image is None or level > math.ceil(lod):
        return State(x)
    new = image(x)
    if level < lod and state.image is not None:
        share = math.ceil(lod) - lod
        new = new * share + repeat_pixels(state.image) * (1 - share)
    return State(x, new)

"""IR-SE, the backbone of pSp and e4e: residual blocks with squeeze and excitation.

Deng et al. 2019 (ArcFace, arXiv:1801.07698); Hu et al. 2018 (arXiv:1709.01507).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlatent.generators.norms import BatchNorm
from jaxlatent.networks.layers import Conv

EPSILON = 1e-5  # of the batch norms
REDUCTION = 16  # of the channels, in a block's squeeze and excitation


class PReLU(nnx.Module):
    """Multiplies what is not positive by a slope, one for each channel."""

    def __init__(self, channels: int) -> None:
        self.slope = nnx.Param(jnp.full(channels, 0.25))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Applies the activation."""
        return jnp.where(x > 0, x, self.slope[...].astype(x.dtype)[None, None, None] * x)


class Stem(nnx.Module):
    """The first convolution, at full resolution."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> None:
        self.conv = Conv(inputs, outputs, 3, padding=1, rngs=rngs)
        self.norm = BatchNorm(outputs, EPSILON)
        self.activation = PReLU(outputs)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        """Applies the layers."""
        return self.activation(self.norm(self.conv(x)))


class Shortcut(nnx.Module):
    """1x1 convolution and batch normalisation beside a block."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.conv = Conv(inputs, outputs, 1, stride, rngs=rngs)
        self.norm = BatchNorm(outputs, EPSILON)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the layers."""
        return self.norm(self.conv(x))


class Block(nnx.Module):
    """Two 3x3 convolutions, the second with the stride; a factor for each channel; a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs) -> None:
        self.norm0 = BatchNorm(inputs, EPSILON)
        self.conv0 = Conv(inputs, outputs, 3, padding=1, rngs=rngs)
        self.activation = PReLU(outputs)
        self.conv1 = Conv(outputs, outputs, 3, stride, padding=1, rngs=rngs)
        self.norm1 = BatchNorm(outputs, EPSILON)
        self.squeeze = Conv(outputs, outputs // REDUCTION, 1, rngs=rngs)
        self.excite = Conv(outputs // REDUCTION, outputs, 1, rngs=rngs)
        self.shortcut = Shortcut(inputs, outputs, stride, rngs=rngs) if inputs != outputs else None
        self.stride = stride

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        """Applies the block."""
        y = self.activation(self.conv0(self.norm0(x)))
        y = self.norm1(self.conv1(y))
        mean = jnp.mean(y, axis=(1, 2), keepdims=True)
        y = y * jax.nn.sigmoid(self.excite(jax.nn.relu(self.squeeze(mean))))
        if self.shortcut is not None:
            return y + self.shortcut(x)
        return y + x[:, :: self.stride, :: self.stride]


class Backbone(nnx.Module):
    """Stages of blocks, each of which halves the resolution.

    Example:
        >>> backbone = nnx.eval_shape(lambda: Backbone(3, (1, 1), (16, 16), rngs=nnx.Rngs(0)))
        >>> images = jnp.zeros((1, 16, 16, 3))
        >>> found = jax.eval_shape(lambda b, x: b.activations(x), backbone, images)
        >>> [a.shape[1] for a in found]
        [16, 8, 4]
    """

    def __init__(
        self, inputs: int, depths: Sequence[int], widths: Sequence[int], *, rngs: nnx.Rngs
    ) -> None:
        self.stem = Stem(inputs, widths[0], rngs=rngs)
        before = (widths[0], *widths)
        blocks = []
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks.append(Block(before[stage], width, 2, rngs=rngs))
            blocks += [Block(width, width, 1, rngs=rngs) for _ in range(depth - 1)]
        self.blocks = nnx.List(blocks)

    def activations(self, images: Float[Array, "n h w i"]) -> list[Float[Array, "n _ _ _"]]:
        """Returns what comes out of the stem and of each block."""
        found = [self.stem(images)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found

"""Generators made ready for many images: what depends on weights alone is computed once."""

import jax
from flax import nnx
from jaxtyping import Array

from jaxlatent.errors import UserError
from jaxlatent.generators import (
    Generator,
    biggan_blocks,
    progressive,
    sngan,
    stylegan1,
    stylegan2,
    stylegan3,
)
from jaxlatent.generators.kernels import Prepared, plain
from jaxlatent.generators.up_convolutions import Phases, Sums
from jaxlatent.generators.winograd import Winograd

_IMAGE = 4  # channels that an image has at most
_CONVOLUTIONS = (
    biggan_blocks.Conv,
    progressive.ScaledConv,
    sngan.Conv,
    stylegan1.StyledLayer,
    stylegan2.StyledConv,
    stylegan2.ToRGB,
    stylegan3.SynthesisLayer,
)


def prepare(generator: Generator, precision: str = "exact") -> Generator:
    """Returns a generator that renders the same images sooner, and takes longer to compile.

    Worth it for more than a few images. On CPUs wide 3x3 convolutions are computed by Winograd's
    filtering, which makes a StyleGAN2 of 256 pixels about 1.4 times as fast; the transformed
    kernels take 1.5 times the memory of its weights, in addition. The weights that it is saved
    with, and known by, are as before; shared with `generator`, which stays as it is.

    Not to be trained: a layer reads what was computed of its kernel, not the kernel. Gradients by
    codes are right. `unprepared` leads back.

    Args:
        generator: of any family; one of transposed convolutions alone (DCGAN, InfoGAN) has nothing
            to prepare.
        precision: "exact" for float32 throughout. "fast" multiplies in bfloat16 within
            convolutions, but for those of images, and adds in float32: for GPUs and TPUs, where
            its speed is not measured yet; a small random StyleGAN2 was off by less than 2% of its
            images' range.

    Raises:
        UserError: if the precision is neither, or `generator` is no generator.

    Example:
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((8, 8), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> generator = StyleGAN2(config, rngs=nnx.Rngs(0))
        >>> ready = prepare(generator)
        >>> codes = ready.broadcast(ready.map(ready.sample_z(jax.random.key(0), 2)))
        >>> ready.synthesize(codes).shape
        (2, 8, 8, 3)
    """
    if precision not in ("exact", "fast"):
        raise UserError(f"precision must be exact or fast, got {precision!r}")
    if not isinstance(generator, Generator):
        raise UserError(f"prepare takes a generator, got a {type(generator).__name__}")
    ready = nnx.clone(generator)
    for _, module in nnx.iter_modules(ready):
        kernel = getattr(module, "kernel", None) if isinstance(module, _CONVOLUTIONS) else None
        if kernel is not None:
            array = plain(kernel.get_value())
            half = precision == "fast" and min(array.shape[2:]) > _IMAGE
            kernel.set_value(Prepared.of(array, None if half else _split(module, array), half))
    return ready


def unprepared(generator: Generator) -> Generator:
    """Returns a generator without what `prepare` computed, as it has to be for training.

    Example:
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((8, 8), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> generator = unprepared(prepare(StyleGAN2(config, rngs=nnx.Rngs(0))))
        >>> generator.blocks[1].conv1.kernel.shape
        (3, 3, 8, 8)
    """
    graph, state = nnx.split(generator)
    state = jax.tree.map(plain, state, is_leaf=lambda leaf: isinstance(leaf, Prepared))
    return nnx.merge(graph, state)


def _split(module: nnx.Module, kernel: Array) -> type[Winograd | Phases | Sums] | None:
    """Returns the parts with which CPUs convolve faster than with the kernel."""
    if jax.default_backend() != "cpu":
        return None
    if getattr(module, "up", False):
        return Phases if isinstance(module, stylegan2.StyledConv) else Sums
    return Winograd if Winograd.fits(kernel) else None

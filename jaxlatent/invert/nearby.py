"""Where to start: the code of that sample, of many, which looks most like an image."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.invert import checks
from jaxlatent.invert.starts import rendered, sampled
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.memory import chunk_size

_SIDE = 16  # pixels of the images that are compared


def nearest(
    generator: Generator,
    images: Float[Array | np.ndarray, "n h w c"],
    key: AnyKey,
    space: str = "w+",
    samples: int = 4096,
) -> Float[np.ndarray, "n m d"]:
    """Returns for each image the code of the sample that looks most like it.

    A start from which an inversion need not cross much of the latent space; samples are compared
    with images by squared difference, both made as small as 16 pixels.

    Args:
        generator: one without classes.
        images: of its size, in [-1, 1].
        key: of the samples: one key, folded with a sample's number.
        space: of the codes: "z", "w" or "w+".
        samples: how many are rendered.

    Returns:
        What `invert` takes as `codes`.

    Raises:
        UserError: if the images do not fit, or the generator has classes or no such space.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> target = generator.synthesize(generator.sample_z(jax.random.key(0), 3)[2:, None])
        >>> found = nearest(generator, target, jax.random.key(0), "z", samples=3)
        >>> bool((found[0, 0] == generator.sample_z(jax.random.key(0), 3)[2]).all())
        True
    """
    targets = jnp.asarray(checks.images(generator, images))
    if generator.num_classes:
        raise UserError("the generator has classes; start from samples of the image's class")
    own = [name for name in generator.spaces if name in ("z", "w", "w+")]
    if space not in own:
        raise UserError(f"space must be one of {', '.join(own)}, got {space!r}")
    if samples < 1:
        raise UserError(f"samples must be at least 1, got {samples}")
    keys = per_sample(key, samples)
    wanted = _small(targets)
    size = chunk_size(
        lambda k: _errors(wanted, _seen(generator, k, space)[1]), keys[:1], total=samples
    )
    least = jnp.full(len(targets), jnp.inf)
    rows, width = generator.spaces[space]
    best = jnp.zeros((len(targets), rows, width))
    for first in range(0, samples, size):
        some = keys[np.minimum(np.arange(first, first + size), samples - 1)]
        least, best = _better(generator, some, wanted, least, best, space)
    return np.asarray(best)


@partial(jax.jit, static_argnames="space")
def _better(
    generator: Generator,
    keys: Key[Array, " b"],
    wanted: Array,
    least: Array,
    best: Array,
    space: str,
) -> tuple[Float[Array, " n"], Float[Array, "n m d"]]:
    codes, seen = _seen(generator, keys, space)
    errors = _errors(wanted, seen)
    own = errors.argmin(1)
    error = errors[jnp.arange(len(wanted)), own]
    closer = error < least
    return jnp.where(closer, error, least), jnp.where(closer[:, None, None], codes[own], best)


def _seen(
    generator: Generator, keys: Key[Array, " b"], space: str
) -> tuple[Float[Array, "b m d"], Float[Array, "b s s c"]]:
    codes = sampled(generator, keys, None, space)
    return codes, _small(rendered(generator, codes, space))


def _errors(wanted: Float[Array, "n s s c"], seen: Float[Array, "b s s c"]) -> Float[Array, "n b"]:
    return jnp.square(wanted[:, None] - seen[None]).mean((2, 3, 4))


def _small(images: Float[Array, "n h w c"]) -> Float[Array, "n s s c"]:
    n, h, w, channels = images.shape
    return jax.image.resize(images, (n, min(h, _SIDE), min(w, _SIDE), channels), "linear")

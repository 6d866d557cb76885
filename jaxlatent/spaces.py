"""Latent spaces: what an array in z, w or w+ means, and the codes it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels


def to_codes(
    generator: Generator,
    array: Float[Array | np.ndarray, "..."],
    space: str,
    label: Labels | None = None,
) -> Float[Array, "n L d"]:
    """Turns latent vectors of any space into codes, a row for each layer.

    Args:
        generator: whose space it is.
        array: [n, d] in z or w, [n, L, d] in w+.
        space: one of `generator.spaces`.
        label: classes, which z needs in a conditional generator.

    Raises:
        UserError: if the generator has no such space, or the shape is not of that space.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> to_codes(DCGAN(config, rngs=nnx.Rngs(0)), jnp.zeros((5, 2)), "z").shape
        (5, 1, 2)
    """
    if space not in generator.spaces:
        raise UserError(f"the generator has the spaces {', '.join(generator.spaces)}, not {space}")
    layers, width = generator.spaces[space]
    shape = (width,) if layers == 1 else (layers, width)
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        expected = ", ".join(str(size) for size in ("n", *shape))
        raise UserError(f"codes in {space} must be [{expected}], got {list(array.shape)}")
    codes = jnp.asarray(array, jnp.float32)
    if space == "z":
        return _mapped(generator, codes, label)
    return generator.broadcast(codes) if space == "w" else codes


@jax.jit
def _mapped(generator: Generator, z: Array, label: Labels | None) -> Float[Array, "n L d"]:
    return generator.broadcast(generator.map(z, label))

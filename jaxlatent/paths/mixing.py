"""Arithmetic with latent codes (arXiv:1511.06434), and style mixing (arXiv:1812.04948)."""

import operator
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.layers import PRECISION


def arithmetic(
    plus: Sequence[Array | np.ndarray], minus: Sequence[Array | np.ndarray] = ()
) -> Array:
    """Adds and subtracts mean codes: "smiling woman" - "neutral woman" + "neutral man".

    Args:
        plus: groups of codes [n, ...], whose means are added.
        minus: groups whose means are subtracted.

    Returns:
        One code, without the axis of samples. For a code, give one group more to `plus` than to
        `minus`; for a difference, as many.

    Raises:
        UserError: if there is no group, one is empty, or the shapes of the codes differ.

    References:
        Radford, Metz and Chintala, ICLR 2016, arXiv:1511.06434, section 6.3.2.

    Example:
        >>> arithmetic([jnp.array([[1.0], [3.0]]), jnp.array([[10.0]])], [jnp.array([[4.0]])])
        Array([8.], dtype=float32)
    """
    groups = [jnp.asarray(group) for group in (*plus, *minus)]
    shapes = sorted({group.shape[1:] for group in groups})
    if len(shapes) != 1 or any(not group.ndim or not group.shape[0] for group in groups):
        raise UserError(
            "at least one group is needed, none empty, all of codes of one shape; got "
            f"{[list(group.shape) for group in groups]}"
        )
    signs = jnp.array([1.0] * len(plus) + [-1.0] * len(minus))
    means = jnp.stack([group.mean(axis=0) for group in groups])
    return jnp.tensordot(signs, means, 1, precision=PRECISION)


def mix_styles(
    codes: Float[Array | np.ndarray, "n L d"],
    styles: Float[Array | np.ndarray, "m L d"],
    layers: Sequence[int],
) -> Float[Array, "n m L d"]:
    """Gives every code the rows of every style on some layers.

    Args:
        codes: what the other layers keep.
        styles: where the rows come from.
        layers: the layers that are replaced; the first ones hold the coarse styles.

    Raises:
        UserError: if the shapes differ, or a layer is out of range.

    References:
        Karras, Laine and Aila, CVPR 2019, arXiv:1812.04948, section 3.1.

    Example:
        >>> mix_styles(jnp.zeros((1, 3, 1)), jnp.ones((2, 3, 1)), [0, 2])[0, 1, :, 0].tolist()
        [1.0, 0.0, 1.0]
    """
    if codes.ndim != 3 or styles.ndim != 3 or codes.shape[1:] != styles.shape[1:]:
        raise UserError(
            "codes and styles must be [n, layers, d] alike, got "
            f"{list(codes.shape)} and {list(styles.shape)}"
        )
    count = codes.shape[1]
    chosen = [operator.index(i) for i in layers]
    if not chosen or not 0 <= min(chosen) <= max(chosen) < count:
        raise UserError(f"layers must be in 0 to {count - 1}, got {chosen}")
    replaced = np.isin(np.arange(count), chosen)[None, None, :, None]
    return jnp.where(replaced, jnp.asarray(styles)[None], jnp.asarray(codes)[:, None])

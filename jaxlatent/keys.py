"""Random keys, one for each sample: a result depends on seed and index, never on the batch."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, UInt32

from jaxlatent.errors import UserError

AnyKey = Key[Array, "..."] | UInt32[Array, "..."]


def per_sample(key: AnyKey, n: int) -> Key[Array, " n"]:
    """Returns `n` keys, the i-th folded from `key` and i; an array of `n` keys is kept.

    Passing the keys of the samples 16 to 31 therefore gives just what the second half of a call
    with `n=32` gives.

    Args:
        key: one key, or one for each sample. Keys of the old kind (`PRNGKey`) work too.
        n: number of samples.

    Raises:
        UserError: if `key` is an array of another length.

    Example:
        >>> import jax
        >>> keys = per_sample(jax.random.key(0), 4)
        >>> bool((keys[2:] == per_sample(keys[2:], 2)).all())
        True
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if key.ndim == 0:
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(n))
    if key.shape != (n,):
        raise UserError(f"expected one key, or one for each of the {n} samples; got {key.shape}")
    return key


def seed_keys(seeds: Sequence[int]) -> Key[Array, " n"]:
    """Returns the keys of the samples numbered `seeds`: those that `per_sample(key(0))` gives.

    Example:
        >>> import jax
        >>> bool((seed_keys([2, 3]) == per_sample(jax.random.key(0), 4)[2:]).all())
        True
    """
    folds = jnp.array(seeds, jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), folds)

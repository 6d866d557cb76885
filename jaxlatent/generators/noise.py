"""The noise maps that StyleGAN 1 and 2 add to their features: stored, none, fresh or given."""

from collections.abc import Sequence
from itertools import accumulate

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import Noise, Size, check_noise
from jaxlatent.keys import AnyKey, per_sample


def noise_maps(
    noise: Noise,
    key: AnyKey | None,
    n: Size,
    sides: Sequence[int],
    stored: Sequence[Float[Array, "_ _"] | None],
) -> list[Float[Array, "_ _ _"] | None]:
    """Returns one map, [1, r, r] or [n, r, r], for each layer; `None` where nothing is added.

    Args:
        noise: "const" for the stored maps, "none", "random", or maps [r, r] or [n, r, r].
        key: for random noise: one key, or one for each sample.
        n: number of samples.
        sides: the maps' sides in pixels.
        stored: each layer's constant map, if it has one.

    Raises:
        UserError: if the key is missing, or maps do not fit the layers.

    Example:
        >>> [m.shape for m in noise_maps("random", jax.random.key(0), 2, [4, 8], [None, None])]
        [(2, 4, 4), (2, 8, 8)]
    """
    check_noise(noise)
    if isinstance(noise, str):
        if noise == "none":
            return [None] * len(sides)
        if noise == "const":
            return [None if m is None else m[None] for m in stored]
        if key is None:
            raise UserError("random noise needs a key")
        ends = list(accumulate(r * r for r in sides))
        draw = jax.vmap(lambda k: jax.random.normal(k, (ends[-1],)))  # one, as each is compiled
        maps = jnp.split(draw(per_sample(key, n)), ends[:-1], axis=1)
        return [m.reshape(n, r, r) for m, r in zip(maps, sides, strict=True)]
    shapes = [m.shape for m in noise]
    if len(noise) != len(sides) or any(
        s not in ((r, r), (1, r, r), (n, r, r)) for s, r in zip(shapes, sides, strict=False)
    ):
        raise UserError(
            f"noise maps must be {len(sides)} arrays of sides {list(sides)}, got {shapes}"
        )
    return [m.reshape(-1, *m.shape[-2:]) for m in noise]

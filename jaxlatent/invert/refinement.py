"""Codes refined by an encoder that sees image and rendering side by side (ReStyle)."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError


def refine(
    encode: Callable[[Array], Array],
    render: Callable[[Array], Array],
    images: Float[Array, "n h w c"],
    start: Float[Array, "n L d"],
    steps: int = 5,
) -> Float[Array, "steps n L d"]:
    """Adds to codes what an encoder says of image and rendering side by side (ReStyle).

    Alaluf et al. 2021, arXiv:2104.02699. A converted ReStyle encoder reads six channels and gives
    offsets: `encode=encoder.offsets`.

    Args:
        encode: function of images beside their renderings, [n, h, w, 2 c], to changes of codes.
        render: function of codes to images of the same size.
        images: in [-1, 1].
        start: codes to begin with, such as the mean code for each image.
        steps: how often; 5 as published.

    Returns:
        The codes after each step.

    Raises:
        UserError: if steps are fewer than 1.

    Example:
        >>> grey = lambda codes: jnp.broadcast_to(codes.mean((1, 2))[:, None, None, None], (1, 4, 4, 1))
        >>> half = lambda both: (both[..., :1] - both[..., 1:]).mean((1, 2))[:, None] / 2
        >>> refine(half, grey, jnp.ones((1, 4, 4, 1)), jnp.zeros((1, 1, 1)), 3).ravel().tolist()
        [0.5, 0.75, 0.875]
    """  # noqa: E501
    if steps < 1:
        raise UserError(f"steps must be at least 1, got {steps}")
    codes, found = start, []
    for _ in range(steps):
        codes = codes + encode(jnp.concatenate([images, render(codes)], axis=-1))
        found.append(codes)
    return jnp.stack(found)

"""Smooth curves through latent codes: cubic splines."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.layers import PRECISION
from jaxlatent.paths.lines import Times, as_times


def keyframes(
    codes: Float[Array | np.ndarray, "m *c"], times: Times, closed: bool = False
) -> Array:
    r"""Returns points on the smooth curve through codes: a cubic spline with equal steps.

    Args:
        codes: `m` keyframes, at the times 0, 1, ...
        times: where. An open curve goes on straight beyond its ends.
        closed: whether the last keyframe leads back to the first, at time `m`, as smoothly as
            everywhere else; times wrap round.

    Returns:
        [s, ...] codes. First and second derivatives are continuous; at the ends of an open curve
        the second is zero.

    Raises:
        UserError: if there are fewer than two keyframes, or times are no list of numbers.

    Example:
        >>> keyframes(jnp.array([[0.0], [1.0], [0.0]]), [0.0, 0.5, 1.0])[:, 0].tolist()
        [0.0, 0.6875, 1.0]
        >>> keyframes(jnp.array([[0.0], [1.0]]), [1.5, 4.5], closed=True)[:, 0].tolist()
        [0.5, 0.5]
    """
    codes, times = jnp.asarray(codes), as_times(times)
    if codes.ndim < 2 or codes.shape[0] < 2:
        raise UserError(f"at least 2 keyframes [m, ...] are needed, got {list(codes.shape)}")
    return _spline(codes, times, jnp.asarray(_slope_matrix(codes.shape[0], closed)), closed)


@partial(jax.jit, static_argnames="closed")
def _spline(
    codes: Float[Array, "m *c"], times: Float[Array, " s"], matrix: Array, closed: bool
) -> Float[Array, "s *c"]:
    m = codes.shape[0]
    slopes = jnp.tensordot(matrix.astype(codes.dtype), codes, 1, precision=PRECISION)
    if closed:
        times = jnp.mod(times, m)
    start = jnp.clip(jnp.floor(times).astype(jnp.int32), 0, m - 1 if closed else m - 2)
    end = (start + 1) % m
    t = (times - start).reshape(-1, *[1] * (codes.ndim - 1))
    inside = jnp.clip(t, 0, 1)
    near, far = codes[start], codes[end]
    gap = far - near
    bend = slopes[start] - gap, slopes[end] - gap
    curve = (
        near + inside * gap + inside * (1 - inside) * ((1 - inside) * bend[0] - inside * bend[1])
    )
    return curve + (t - inside) * jnp.where(t > 1, slopes[end], slopes[start])


def _slope_matrix(m: int, closed: bool) -> Float[np.ndarray, "m m"]:
    """Returns the matrix that makes a spline's slopes at its keyframes from the keyframes."""
    after, before = np.roll(np.eye(m), 1, axis=1), np.roll(np.eye(m), -1, axis=1)
    left, right = 4 * np.eye(m) + after + before, 3 * (after - before)
    if not closed:
        for row, (one, other) in ((0, (0, 1)), (m - 1, (m - 1, m - 2))):
            left[row], right[row] = 0, 0
            left[row, [one, other]] = 2, 1
            right[row, [min(one, other), max(one, other)]] = -3, 3
    return np.linalg.solve(left, right).astype(np.float32)

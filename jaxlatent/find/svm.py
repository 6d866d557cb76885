"""Linear classifiers at their true optimum: Cortes and Vapnik, Machine Learning 20, 1995."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import ArrayLike
from jaxlatent.errors import UserError, listed
from jaxlatent.find.hinge import hinge
from jaxlatent.find.optimum import LOGISTIC, SQUARED_HINGE, newton
from jaxlatent.find.scored import flattened
from jaxlatent.threads import cores, one_blas_thread

Loss = Literal["hinge", "squared_hinge", "logistic"]

_ACCEPTED = 1e-6  # the largest relative gap that is no failure
_BYTES = 1 << 28  # of float64 work in memory at once
_HOST_BYTES = 1 << 31  # of samples in memory at once where problems are solved by the host


class LinearFit(NamedTuple):
    """Hyperplanes `code . weight + intercept = 0` of `a` problems, in float64.

    Attributes:
        weight: [a, d]; the margins are where `code . weight + intercept` is 1 or -1.
        intercept: [a].
        objective: [a], what was minimised.
        gap: [a], bound of how far the objective is above its minimum. The weight is within
            `sqrt(2 gap)` of the optimal one, since half its square is part of the objective.
        iterations: [a], Newton steps that were taken.
    """

    weight: Float[np.ndarray, "a d"]
    intercept: Float[np.ndarray, " a"]
    objective: Float[np.ndarray, " a"]
    gap: Float[np.ndarray, " a"]
    iterations: Int[np.ndarray, " a"]


def linear_svm(
    codes: Float[ArrayLike, "n d"] | Float[ArrayLike, "n L d"],
    rows: Int[ArrayLike, "a r"],
    signs: Int[ArrayLike, "a r"],
    loss: Loss = "hinge",
    c: float = 1.0,
    names: Sequence[str] = (),
) -> LinearFit:
    r"""Separates two classes of codes, for many problems at once.

    Minimises $\frac12\|w\|^2 + C\sum_i \ell(y_i(w \cdot x_i + b))$ in float64: smooth losses
    by Newton's method, the hinge loss by an augmented Lagrangian on the host, whose Newton steps
    read few of the samples. Each step costs one factorisation of a matrix of width d + 1, or the
    number of samples if that is smaller.

    Args:
        codes: all samples; with a row for each layer, all rows together are one vector.
        rows: the samples of each problem.
        signs: 1 or -1 for each of them; 0 leaves it out.
        loss: "hinge" $\max(0, 1 - m)$, "squared_hinge" its square, or "logistic"
            $\log(1 + e^{-m})$.
        c: weight of the losses, above 0; more of it fits the samples more closely.
        names: of the problems, for errors.

    Returns:
        The hyperplanes, with a bound of how far from the optimum they are.

    Raises:
        UserError: if the arguments do not fit, a class is empty, a code is not finite, or no
            optimum was found.

    Example:
        >>> codes = np.array([[1.0, 5.0], [3.0, 5.0]])
        >>> fit = linear_svm(codes, np.array([[0, 1]]), np.array([[-1, 1]]))
        >>> fit.weight.round(6).tolist(), fit.intercept.round(6).tolist()
        ([[1.0, 0.0]], [-2.0])
    """
    rows, signs = np.asarray(rows), np.asarray(signs)
    names = names or [f"problem {i}" for i in range(len(rows))]
    check_options(loss, c)
    codes, _ = flattened("codes", codes)
    _check(len(codes), rows, signs, names)
    if loss == "hinge":
        fit = _fit_hinge(np.asarray(codes), rows, signs, c)
    else:
        width = min(codes.shape[1], rows.shape[1]) + 1
        together = max(1, min(len(rows), _BYTES // (24 * rows.shape[1] * width)))
        with jax.enable_x64(True):
            found = _fit(codes, rows, signs, np.float64(c), loss, together)
            fit = LinearFit(*jax.device_get(found))
    failed = [
        f"{names[i]} (gap {fit.gap[i]:.1e} of {fit.objective[i]:.1e})"
        for i in range(len(rows))
        if not fit.gap[i] <= _ACCEPTED * fit.objective[i]
    ]
    if failed:
        raise UserError(
            f"no optimum was found for {listed(failed)}: scale the codes to a variance near 1, "
            f"or take a c nearer to 1, now {c:g}"
        )
    return fit


def check_options(loss: str, c: float) -> None:
    """Raises `UserError` for a loss that is unknown, or a weight that is not positive."""
    if loss not in get_args(Loss):
        raise UserError(f"loss must be one of {', '.join(get_args(Loss))}, got {loss!r}")
    if not 0 < c < np.inf:
        raise UserError(f"c must be above 0, got {c}")


def _check(n: int, rows: np.ndarray, signs: np.ndarray, names: Sequence[str]) -> None:
    if rows.ndim != 2 or rows.shape != signs.shape or len(names) != len(rows):
        raise UserError(
            "rows and signs must be [problems, samples], with a name for each problem if any, got "
            f"{list(rows.shape)}, {list(signs.shape)} and {len(names)} names"
        )
    if not np.issubdtype(rows.dtype, np.integer):
        raise UserError(f"rows must be indices of samples, got {rows.dtype}")
    if not rows.size or not 0 <= rows.min() <= rows.max() < n:
        raise UserError(f"rows must be some of 0 to {n - 1}")
    one = [names[i] for i, s in enumerate(signs) if not s.min() < 0 < s.max()]
    if one:
        raise UserError(f"both classes must have samples, not so in {listed(one)}")


def _fit_hinge(codes: np.ndarray, rows: np.ndarray, signs: np.ndarray, c: float) -> LinearFit:
    """Solves as many problems at once as there are cores, and memory for."""
    together = min(cores(), _HOST_BYTES // (24 * rows.shape[1] * (codes.shape[1] + 1)))
    with one_blas_thread(), ThreadPoolExecutor(max(1, together)) as pool:
        chosen = ((r[s != 0], s[s != 0]) for r, s in zip(rows, np.sign(signs), strict=True))
        fits = list(pool.map(lambda one: _fit_one_hinge(codes[one[0]], one[1], c), chosen))
    return LinearFit(*(np.array(parts) for parts in zip(*fits, strict=True)))


def _fit_one_hinge(
    x: Float[np.ndarray, "r d"], signs: Int[np.ndarray, " r"], c: float
) -> tuple[Any, ...]:
    """Solves one problem in the coordinates of `_fit_one`."""
    centre = x.mean(axis=0, dtype=np.float64)
    x, y = x - centre[None], signs.astype(np.float64)
    basis = None
    if len(x) < x.shape[1]:
        basis, triangle = np.linalg.qr(x.T)
        x = triangle.T
    found = hinge(np.concatenate([y[:, None] * x, y[:, None]], axis=1), c)
    weight = found.w[:-1] if basis is None else basis @ found.w[:-1]
    return weight, found.w[-1] - weight @ centre, found.objective, found.gap, found.steps


@partial(jax.jit, static_argnames=("loss", "together"))
def _fit(
    codes: Array, rows: Array, signs: Array, c: Array, loss: Loss, together: int
) -> tuple[Any, ...]:
    """Solves the problems one after the other, so many `together` as the memory allows."""
    return jax.lax.map(
        lambda problem: _fit_one(codes[problem[0]], problem[1], c, loss),
        (rows, signs),
        batch_size=together,
    )


def _fit_one(
    x: Float[Array, "r d"], signs: Int[Array, " r"], c: Array, loss: Loss
) -> tuple[Any, ...]:
    """Solves one problem in coordinates that are centred, and no more than there are samples."""
    x, y, c = (jnp.asarray(v, jnp.float64) for v in (x, jnp.sign(signs), c))
    used = jnp.abs(y)
    centre = used @ x / jnp.sum(used)
    x = (x - centre[None]) * used[:, None]
    basis = None
    if x.shape[0] < x.shape[1]:  # the weight lies in the span of the samples
        basis, triangle = jnp.linalg.qr(x.T)
        x = triangle.T
    smooth = SQUARED_HINGE if loss == "squared_hinge" else LOGISTIC
    b = y[:, None] * jnp.concatenate([x, jnp.ones_like(y)[:, None]], axis=1)
    found = newton(b, c, smooth)
    weight = found.w[:-1] if basis is None else basis @ found.w[:-1]
    left_out = smooth.value(jnp.zeros(())) * c * jnp.sum(1 - used)  # what rows of zeros add
    intercept = found.w[-1] - weight @ centre
    return weight, intercept, found.objective - left_out, found.gap, found.steps

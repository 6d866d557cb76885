"""Independent and sparse components, by scikit-learn, and random directions to compare with.

The alternatives of GANSpace (Härkönen et al., NeurIPS 2020, arXiv:2004.02546, section 2).
"""

import operator
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.covariance import Covariance
from jaxlatent.find.vectors import SIGN_ANCHOR, anchor_sign, check_count
from jaxlatent.keys import AnyKey, per_sample

Codes = Float[Array | np.ndarray, "n d"]


def ica(codes: Codes, k: int, key: AnyKey, max_iter: int = 1000) -> Directions:
    r"""Finds `k` directions along each of which one independent source moves the codes.

    Models codes as $\bar x + \sum_j s_j a_j$ with independent sources $s_j$ of variance 1, by
    FastICA on the first `k` principal components. The directions are the $a_j$: a move along one
    changes its source alone. (The original takes the rows that measure the sources, which are
    others unless the $a_j$ are orthogonal.)

    Args:
        codes: latent codes; all are held at once.
        k: number of directions, `1 <= k <= min(n, d)`.
        key: for the start of the iteration.
        max_iter: most iterations.

    Returns:
        Unit `vectors` [k, 1, d]; `scale` is the length of $a_j$, so that an edit by 1 moves a
        source by its standard deviation; `scores` are the squares, the variances, largest first.

    Raises:
        UserError: if `k` is out of range, or the sources are not found in `max_iter` iterations.

    References:
        Hyvärinen and Oja, "Independent Component Analysis: Algorithms and Applications", Neural
        Networks 2000.

    Example:
        >>> sources = jax.random.uniform(jax.random.key(0), (1000, 2))
        >>> codes = sources @ jnp.array([[3.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
        >>> rows = np.asarray(ica(codes, 2, jax.random.key(0)).vectors[:, 0], float)
        >>> np.abs(rows).round(1).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.7, 0.7]]
    """
    x, seed = _checked(codes, k, key)
    from sklearn.decomposition import FastICA

    model = FastICA(k, whiten="unit-variance", max_iter=max_iter, tol=1e-6, random_state=seed)
    _fitted(model.fit, x, max_iter)
    return _directions(model.mixing_.T, x, "ica", {"max_iter": max_iter})


def sparse_pca(
    codes: Codes, k: int, key: AnyKey, alpha: float = 1.0, max_iter: int = 1000
) -> Directions:
    r"""Finds `k` directions of large variance with few coordinates each.

    Solves $\min \frac12\|X - U V\|_F^2 + \alpha \|V\|_1$ with columns of $U$ of at most unit
    length and the centred codes $X$; the directions are the rows of $V$.

    Args:
        codes: latent codes; all are held at once.
        k: number of directions, `1 <= k <= min(n, d)`.
        key: for the start of the iteration.
        alpha: how much coordinates cost, at least 0; too much leaves nothing of a direction.
        max_iter: most iterations.

    Returns:
        Unit `vectors` [k, 1, d]; `scale` is the codes' standard deviation along a direction and
        `scores` the variance, largest first.

    Raises:
        UserError: if `k` or `alpha` is out of range, or a direction is left without coordinates.

    References:
        Zou, Hastie and Tibshirani, "Sparse Principal Component Analysis", JCGS 2006.

    Example:
        >>> codes = jax.random.normal(jax.random.key(0), (200, 3)) * jnp.array([[3.0, 2.0, 0.1]])
        >>> rows = np.asarray(sparse_pca(codes, 2, jax.random.key(0)).vectors[:, 0], float)
        >>> np.abs(rows).round(1).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if not alpha >= 0:
        raise UserError(f"alpha must be at least 0, got {alpha}")
    x, seed = _checked(codes, k, key)
    from sklearn.decomposition import SparsePCA

    model = SparsePCA(k, alpha=alpha, max_iter=max_iter, random_state=seed)
    _fitted(model.fit, x, max_iter)
    rows = model.components_
    empty = int(np.sum(~rows.any(axis=1)))
    if empty:
        raise UserError(f"{empty} of {k} directions have no coordinates left; lower alpha")
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    deviations = (x @ units.T).std(axis=0, ddof=1)
    settings = {"alpha": alpha, "max_iter": max_iter}
    return _directions(units * deviations[:, None], x, "sparse_pca", settings)


def random_directions(
    key: AnyKey, k: int, d: int, covariance: Covariance | None = None
) -> Directions:
    """Returns `k` directions drawn evenly from the sphere: what a finder has to be better than.

    Args:
        key: one key, folded with the direction's index, or one for each.
        k: number of directions.
        d: width of a code.
        covariance: of codes; then `mean`, `scale` (standard deviations along the directions) and
            `scores` (variances) are filled in, and the directions sorted by them.

    Raises:
        UserError: if `k` or `d` is less than 1, or the covariance has another width.

    Example:
        >>> random_directions(jax.random.key(0), 3, 8)
        Directions(3 by random in unbound, [1, 8] each: random 0, random 1, random 2)
    """
    k, d = operator.index(k), operator.index(d)
    if k < 1 or d < 1:
        raise UserError(f"k and d must be at least 1, got {k} and {d}")
    if covariance is not None and covariance.matrix.shape != (d, d):
        raise UserError(f"the covariance is of {covariance.mean.size} numbers, d is {d}")
    rows = jax.vmap(lambda one: jax.random.normal(one, (d,)))(per_sample(key, k))
    units = np.asarray(rows, np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    if covariance is None:
        return Directions.of(
            jnp.asarray(units[:, None], jnp.float32), method="random", sign_anchor="none"
        )
    variances = np.einsum("kd,de,ke->k", units, covariance.matrix, units)
    order = np.argsort(-variances, kind="stable")
    units, variances = units[order], variances[order]
    arrays = (units[:, None], variances, covariance.mean[None], variances**0.5)
    vectors, scores, mean, scale = (jnp.asarray(a, jnp.float32) for a in arrays)
    fields: dict[str, Any] = {"method": "random", "sign_anchor": "none"}
    return Directions.of(vectors, scores, mean=mean, scale=scale, **fields)


def _checked(codes: Codes, k: int, key: AnyKey) -> tuple[Float[np.ndarray, "n d"], int]:
    """Returns centred codes in float64 and a seed."""
    if codes.ndim != 2:
        raise UserError(f"codes must be [n, d], got {list(codes.shape)}")
    check_count(k, min(codes.shape))
    x = np.asarray(codes, np.float64)
    if not np.isfinite(x).all():
        raise UserError("the codes hold numbers that are not finite")
    return x, int(jax.random.bits(key))


def _fitted(fit: Callable[..., Any], x: Float[np.ndarray, "n d"], max_iter: int) -> None:
    """Fits, and makes an error of scikit-learn's warning that it did not converge."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fit(x)
        except ConvergenceWarning:
            raise UserError(
                f"no convergence in {max_iter} iterations; raise max_iter or lower k"
            ) from None


def _directions(
    rows: Float[np.ndarray, "k d"],
    x: Float[np.ndarray, "n d"],
    method: str,
    settings: dict[str, Any],
) -> Directions:
    """Returns `rows` as directions whose unit is the row's length, the longest first."""
    lengths = np.linalg.norm(rows, axis=1)
    order = np.argsort(-lengths, kind="stable")
    rows, lengths = rows[order], lengths[order]
    units = anchor_sign(jnp.asarray(rows / lengths[:, None], jnp.float32))
    return Directions.of(
        units[:, None],
        jnp.asarray(lengths**2, jnp.float32),
        mean=jnp.asarray(x.mean(axis=0)[None], jnp.float32),
        scale=jnp.asarray(lengths, jnp.float32),
        method=method,
        sign_anchor=SIGN_ANCHOR,
        parameters={**settings, "k": len(rows), "n": len(x)},
    )

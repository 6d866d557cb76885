"""Closed-form factorisation of latent semantics: Shen and Zhou, CVPR 2021, arXiv:2007.06600."""

import operator
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.vectors import SIGN_ANCHOR, anchor_sign, check_count
from jaxlatent.generators.layers import PRECISION
from jaxlatent.threads import one_blas_thread


def sefa(weights: Sequence[Float[Array, "_ d"]], k: int, per_layer: bool = False) -> Directions:
    r"""Finds the `k` latent directions that move the layers' outputs most.

    Solves $\max_{\|n\|=1} \sum_l \|A_l n\|^2$ with the rows of every $A_l$ scaled to unit
    length, by a symmetric eigendecomposition on the host, or on the device where the matrices are
    traced. (The original decomposes with a general solver and does not sort, so the order of its
    directions is not that of its eigenvalues.)

    Args:
        weights: matrices $A_l$, one row for each output: `generator.affines(layers)`.
        k: number of directions, `1 <= k <= d`.
        per_layer: solve for each layer by itself; row `l` of a direction then belongs to the
            `l`-th matrix given, and signs are fixed layer by layer.

    Returns:
        Unit `vectors` [k, 1, d] and eigenvalues as `scores` [k], largest first; with `per_layer`
        [k, layers, d] and [k, layers].

    Raises:
        UserError: if `k` is out of range, or the matrices are none, no matrices or differ in width.

    References:
        Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021,
        arXiv:2007.06600.

    Example:
        >>> directions = sefa([jnp.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])], 2)
        >>> directions.vectors[:, 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        >>> directions.scores.tolist()
        [2.0, 1.0]
    """
    if any(a.ndim != 2 for a in weights):
        shapes = [list(a.shape) for a in weights]
        raise UserError(f"the weights must be matrices [outputs, d], got {shapes}")
    widths = {a.shape[1] for a in weights}
    if len(widths) != 1:
        raise UserError(f"the matrices must have one width, got {sorted(widths) or 'none'}")
    (d,) = widths
    k = operator.index(k)
    check_count(k, d)
    solve = _traced if any(isinstance(a, jax.core.Tracer) for a in weights) else _solved
    vectors, scores = solve(tuple(weights), k, per_layer)
    return Directions.of(
        vectors,
        scores,
        method="sefa",
        sign_anchor=SIGN_ANCHOR,
        parameters={"k": k, "per_layer": per_layer},
    )


def _solved(
    weights: tuple[Float[Array | np.ndarray, "_ d"], ...], k: int, per_layer: bool
) -> tuple[Float[Array, "k m d"], Float[Array, "..."]]:
    """Returns vectors and scores; LAPACK finds no more of them than are asked for."""
    matrices = [np.asarray(a, np.float32) for a in weights]  # of half-precision models too
    with one_blas_thread():
        found = [_largest(a, k) for a in (matrices if per_layer else [np.concatenate(matrices)])]
    values, rows = (np.stack(part, axis=1).astype(np.float32) for part in zip(*found, strict=True))
    return anchor_sign(jnp.asarray(rows)), jnp.asarray(values if per_layer else values[:, 0])


def _largest(
    a: Float[np.ndarray, "o d"], k: int
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k d"]]:
    """Returns the largest eigenvalues and the vectors of the rows' products."""
    d = a.shape[1]
    with np.errstate(invalid="ignore"):  # of weights that are not finite, which is told below
        squares = np.einsum("od,od->o", a, a, dtype=np.float64)  # beyond float32's range
        norms = np.sqrt(squares).astype(np.float32)[:, None]
        a = a / np.where(norms > 0, norms, np.float32(1))
        gram = scipy.linalg.blas.ssyrk(1.0, a.T)
    if not np.isfinite(gram).all():  # which no set of directions may hold
        return np.full(k, np.nan), np.full((k, d), np.nan)
    values, columns = scipy.linalg.eigh(
        gram.astype(np.float64),
        lower=False,
        subset_by_index=(d - k, d - 1),
        driver="evr",
        check_finite=False,
    )
    return values[::-1], columns[:, ::-1].T


@partial(jax.jit, static_argnames=("k", "per_layer"))
def _traced(
    weights: tuple[Float[Array, "_ d"], ...], k: int, per_layer: bool
) -> tuple[Float[Array, "k m d"], Float[Array, "..."]]:
    """Returns what `_solved` does, of matrices that have no values yet."""
    grams = jnp.stack([_gram(jnp.asarray(a, jnp.float32)) for a in weights])
    if not per_layer:
        grams = jnp.sum(grams, axis=0, keepdims=True)
    values, columns = jnp.linalg.eigh(grams)
    scores = values[:, ::-1][:, :k]
    vectors = anchor_sign(jnp.swapaxes(columns[:, :, ::-1][:, :, :k], 1, 2))
    return jnp.swapaxes(vectors, 0, 1), scores.T if per_layer else scores[0]


def _gram(a: Float[Array, "o d"]) -> Float[Array, "d d"]:
    norms = jnp.linalg.norm(a, axis=1, keepdims=True)
    a = a / jnp.where(norms > 0, norms, 1)
    return jnp.matmul(a.T, a, precision=PRECISION)

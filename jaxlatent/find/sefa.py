"""Closed-form factorisation of latent semantics: Shen and Zhou, CVPR 2021, arXiv:2007.06600."""

import operator
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.vectors import SIGN_ANCHOR, anchor_sign, check_count
from jaxlatent.generators.layers import PRECISION


def sefa(weights: Sequence[Float[Array, "_ d"]], k: int, per_layer: bool = False) -> Directions:
    r"""Finds the `k` latent directions that move the layers' outputs most.

    Solves $\max_{\|n\|=1} \sum_l \|A_l n\|^2$ with the rows of every $A_l$ scaled to unit
    length, by a symmetric eigendecomposition. (The original decomposes with a general solver and
    does not sort, so the order of its directions is not that of its eigenvalues.)

    Args:
        weights: matrices $A_l$, one row for each output: `generator.affines(layers)`.
        k: number of directions, `1 <= k <= d`.
        per_layer: solve for each layer by itself; row `l` of a direction then belongs to the
            `l`-th matrix given, and signs are fixed layer by layer.

    Returns:
        Unit `vectors` [k, 1, d] and eigenvalues as `scores` [k], largest first; with `per_layer`
        [k, layers, d] and [k, layers].

    Raises:
        UserError: if `k` is out of range, or the matrices are none or differ in width.

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
    widths = {a.shape[1] for a in weights}
    if len(widths) != 1:
        raise UserError(f"the matrices must have one width, got {sorted(widths) or 'none'}")
    (d,) = widths
    k = operator.index(k)
    check_count(k, d)
    exact = tuple(jnp.asarray(a, jnp.float32) for a in weights)  # of half-precision models too
    vectors, scores = _solve(exact, k, per_layer)
    return Directions.of(
        vectors,
        scores,
        method="sefa",
        sign_anchor=SIGN_ANCHOR,
        parameters={"k": k, "per_layer": per_layer},
    )


@partial(jax.jit, static_argnames=("k", "per_layer"))
def _solve(
    weights: tuple[Float[Array, "_ d"], ...], k: int, per_layer: bool
) -> tuple[Float[Array, "k m d"], Float[Array, "..."]]:
    grams = jnp.stack([_gram(a) for a in weights])
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

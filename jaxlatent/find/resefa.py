"""Directions that change a region for what they change of the rest (Zhu et al. 2022)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.jacobian import Region, found_by, jacobian_grams, move_size
from jaxlatent.find.vectors import check_count
from jaxlatent.generators import Generator, Labels


def resefa(
    generator: Generator,
    codes: Float[Any, "n L d"],
    region: Region,
    k: int,
    *,
    ridge: float = 1e-3,
    view: Any = None,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    chunk: int = 16,
) -> Directions:
    r"""Finds the `k` directions that change a region most for what they change of the rest.

    Solves $M_f v = \lambda (M_b + \rho\,\mathrm{tr}(M_b) I) v$, a symmetric generalised eigenvalue
    problem, for the means of $J^\top J / p$ of the region's and of the rest's pixels. (The
    original inverts one matrix and decomposes the product, which is not symmetric.) Other
    arguments as of `jacobian_grams`.

    Args:
        generator: the generator.
        codes: one code for its own directions, or several for those of their average.
        region: a box ((top, bottom), (left, right)), ends exclusive, or a mask [h, w].
        k: number of directions.
        ridge: $\rho$, which keeps directions out that move nothing at all.
        view: function of images to images; the region is one of its result.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        chunk: axes in one step.

    Returns:
        Unit `vectors`, in general not orthogonal; `scores` are the ratios $\lambda$, largest first.

    Raises:
        UserError: if `k` or the ridge is out of range, something does not fit, or the rest does
            not change at all.

    References:
        Zhu et al., "Region-Based Semantic Factorization in GANs", ICML 2022, arXiv:2202.09649.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> resefa(generator, jnp.zeros((1, 1, 2)), ((0, 2), (0, 4)), 1).vectors.shape
        (1, 1, 2)
    """
    check_count(k, move_size(generator, layers, shared))
    if not 0 < ridge < float("inf"):
        raise UserError(f"ridge must be positive, got {ridge}")
    grams = jacobian_grams(
        generator, codes, region, view=view, layers=layers, shared=shared, label=label, chunk=chunk
    )
    rest = np.asarray(grams.rest)
    trace = np.trace(rest)
    if not trace > 0:
        raise UserError("nothing outside of the region changes: use local_directions")
    values, vectors = generalised_eigh(grams.region, rest + ridge * trace * np.eye(len(rest)))
    return found_by(
        "resefa",
        (generator, layers, grams.rows),
        vectors[:k],
        values[:k],
        {"k": k, "ridge": ridge, "shared": shared, "codes": len(codes)},
    )


def generalised_eigh(
    a: Float[np.ndarray, "D D"], b: Float[np.ndarray, "D D"]
) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, "D D"]]:
    """Solves `a v = value b v` for symmetric `a` and positive definite `b`, largest value first.

    Example:
        >>> generalised_eigh(np.diag([2.0, 9.0]), np.diag([1.0, 3.0]))[0].round(12).tolist()
        [3.0, 2.0]
    """
    values, vectors = np.linalg.eigh(b)
    whitening = vectors / np.sqrt(values)[None]
    inner, rotated = np.linalg.eigh(whitening.T @ a @ whitening)
    return inner[::-1], (whitening @ rotated).T[::-1]

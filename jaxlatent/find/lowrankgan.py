"""Directions that change a region and leave the rest alone (Zhu et al. 2021, arXiv:2106.04488)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.jacobian import Region, found_by, jacobian_grams, move_size
from jaxlatent.find.vectors import check_count
from jaxlatent.generators import Generator, Labels

_RELAXATION, _PATIENCE, _GROWTH = 1.6, 200, 1.02  # of the robust PCA's iteration


def lowrankgan(
    generator: Generator,
    codes: Float[Any, "n L d"],
    region: Region,
    k: int,
    *,
    sparsity: float | None = None,
    tolerance: float = 1e-3,
    view: Any = None,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    chunk: int = 16,
) -> Directions:
    r"""Projects what moves a region most onto what does not move the rest.

    The means of $J^\top J / p$ of the region's and of the rest's pixels are each split into a
    low-rank and a sparse part. The region's principal directions, the eigenvectors of its
    low-rank part, are projected onto the null space of the rest's. Other arguments as of
    `jaxlatent.find.jacobian.jacobian_grams`.

    Args:
        generator: the generator.
        codes: one code for its own directions, or several for those of their average.
        region: a box ((top, bottom), (left, right)), ends exclusive, or a mask [h, w].
        k: number of directions at most; fewer if the spaces have no more.
        sparsity: weight of the sparse part. `None` is $1/\sqrt{D}$ for moves of D numbers (Candès
            et al. 2011); the paper's, for 512, is 1/60, and leaves less or nothing of narrower
            matrices. `float("inf")` leaves them as they are.
        tolerance: eigenvalues below this share of the largest count as zero.
        view: function of images to images; the region is one of its result.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        chunk: axes in one step.

    Returns:
        Unit `vectors`, in general not orthogonal; `scores` are the mean squared changes of the
        region's pixels for a move by 1, largest first. `parameters` has the dimensions of the
            rest's null space, "null_rank", and how many directions it leaves, "found", of which
            the first `k` are returned.

    Raises:
        UserError: if something is out of range or does not fit, or if nothing moves the region
            without the rest.

    References:
        Zhu et al., "Low-Rank Subspaces in GANs", NeurIPS 2021, arXiv:2106.04488.

    Example:
        >>> import jax
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(4, (1,), (2,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, box = DCGAN(config, rngs=nnx.Rngs(0)), ((0, 1), (0, 1))
        >>> codes = generator.broadcast(generator.sample_z(jax.random.key(0), 1))
        >>> lowrankgan(generator, codes, box, 3, sparsity=float("inf")).vectors.shape
        (1, 1, 4)
    """
    size = move_size(generator, layers, shared)
    check_count(k, size)
    sparsity = size**-0.5 if sparsity is None else sparsity
    problems = []
    if not sparsity > 0:
        problems.append(f"sparsity must be positive, got {sparsity}")
    if not 0 < tolerance < 1:
        problems.append(f"tolerance must be between 0 and 1, got {tolerance}")
    if problems:
        raise UserError("; ".join(problems))
    grams = jacobian_grams(
        generator, codes, region, view=view, layers=layers, shared=shared, label=label, chunk=chunk
    )
    splits = [robust_pca(np.asarray(gram), sparsity)[0] for gram in (grams.region, grams.rest)]
    principal, _ = _ranges(splits[0], tolerance)
    _, null = _ranges(splits[1], tolerance)
    if not len(principal):
        raise UserError(
            "the robust PCA leaves no low-rank part of what moves the region; raise sparsity, "
            f"which is {sparsity:.4g}"
        )
    vectors = principal @ null.T @ null
    lengths = np.linalg.norm(vectors, axis=1)
    vectors = vectors[lengths > tolerance] / lengths[lengths > tolerance, None]
    scores = np.einsum("ki,ij,kj->k", vectors, grams.region, vectors)
    some = scores > tolerance * np.linalg.eigvalsh(grams.region)[-1]
    if not some.any():
        raise UserError(
            "nothing moves the region and not the rest: the rest's Jacobian has rank "
            f"{len(null.T) - len(null)} of {len(null.T)}; raise the tolerance, which is "
            f"{tolerance}, or use resefa"
        )
    order = np.argsort(-scores[some], kind="stable")[:k]
    parameters = {"sparsity": sparsity, "tolerance": tolerance, "shared": shared}
    return found_by(
        "lowrankgan",
        (generator, layers, grams.rows),
        vectors[some][order],
        scores[some][order],
        parameters
        | {"k": k, "codes": len(codes), "null_rank": len(null), "found": int(some.sum())},
    )


def _ranges(
    matrix: Float[np.ndarray, "D D"], tolerance: float
) -> tuple[Float[np.ndarray, "r D"], Float[np.ndarray, "q D"]]:
    """Returns bases of the space that a symmetric matrix maps into, and of that it maps to 0."""
    values, vectors = np.linalg.eigh(matrix)
    large = values > tolerance * max(values[-1], 1e-30)
    return vectors.T[large][::-1], vectors.T[~large]


def robust_pca(
    matrix: Float[np.ndarray, "D D"], sparsity: float, steps: int = 1000
) -> tuple[Float[np.ndarray, "D D"], Float[np.ndarray, "D D"]]:
    r"""Splits a symmetric matrix into a low-rank and a sparse part, in float64.

    Minimises $\|L\|_* + \lambda\|S\|_1$ over $L + S = M$ by alternating directions (Candès et al.
    2011, arXiv:0912.3599), over-relaxed, until the rest is below 1e-7 of the matrix. What has not
    ended by then is made to: the rest weighs ever more from step 200 on, which costs the minimum
    about 1e-6 of itself.

    Args:
        matrix: the matrix.
        sparsity: $\lambda$.
        steps: the most to be taken.

    Raises:
        UserError: if they do not suffice.

    Example:
        >>> low, sparse = robust_pca(np.ones((30, 30)) + 5 * np.eye(30), 0.15)
        >>> np.linalg.matrix_rank(low, tol=1e-4).item(), sparse.diagonal().round(3).min().item()
        (1, 5.0)
    """
    matrix = np.asarray(matrix, np.float64)
    size = np.linalg.norm(matrix)
    if not np.isfinite(sparsity) or not size:
        return matrix, np.zeros_like(matrix)
    weight = matrix.size / (4 * np.abs(matrix).sum())
    sparse, dual = np.zeros_like(matrix), np.zeros_like(matrix)
    for step in range(steps):
        values, vectors = np.linalg.eigh(matrix - sparse + dual / weight)
        low = (vectors * _shrunk(values, 1 / weight)[None]) @ vectors.T
        relaxed = _RELAXATION * low + (1 - _RELAXATION) * (matrix - sparse)
        sparse = _shrunk(matrix - relaxed + dual / weight, sparsity / weight)
        dual += weight * (matrix - relaxed - sparse)
        if np.linalg.norm(matrix - low - sparse) <= 1e-7 * size:
            return low, sparse
        weight *= 1 if step < _PATIENCE else _GROWTH
    raise UserError(
        f"the robust PCA has not converged after {steps} steps; give another sparsity than "
        f'{sparsity}, or float("inf") to leave it out'
    )


def _shrunk(x: Float[np.ndarray, "*s"], threshold: float) -> Float[np.ndarray, "*s"]:
    """Moves numbers towards zero by `threshold`, not beyond."""
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)

"""The largest eigenvalues of a symmetric matrix: Golub and Underwood's block Lanczos method.

"The Block Lanczos Method for Computing Eigenvalues", Mathematical Software III, 1977.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.find.vectors import NO_VARIANCE, anchor_sign

_SMALL = 1024  # width up to which all eigenvectors are had as fast as some
_SPARE = 8  # vectors of a block beyond those asked for
_RESIDUAL = 1e-11  # of an eigenpair, relative to the largest eigenvalue

Pairs = tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k d"]]


def principal(matrix: Float[np.ndarray, "d d"], k: int) -> Pairs:
    r"""Returns the `k` largest eigenvalues of a covariance and their eigenvectors, in float64.

    Wide matrices of which few vectors are asked for are not decomposed whole: the vectors are
    sought in the growing Krylov space of a block that is always the same, until
    $\|Cv - \lambda v\| \le 10^{-11} \lambda_1$ for each of them. A matrix that half its width of
    vectors does not suffice for is decomposed whole after all.

    Args:
        matrix: symmetric, without negative eigenvalues.
        k: how many, at most the matrix's width.

    Raises:
        UserError: if there is no variance along some of them.

    Example:
        >>> values, vectors = principal(np.diag([1.0, 3.0, 2.0]), 2)
        >>> values.tolist(), vectors.round(9).tolist()
        ([3.0, 2.0], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """
    found = None
    if len(matrix) > max(_SMALL, 8 * (k + _SPARE)):
        found = _sought(matrix, k)
    if found is None:
        with jax.enable_x64(True):
            values, vectors = (np.asarray(part)[:k] for part in _decompose(matrix))
        found = values, vectors
    values = found[0]
    varying = int(np.sum(values > NO_VARIANCE * max(values[0], 0)))
    if varying < k:
        raise UserError(f"k must be at most {varying}, as there is no other variance; got {k}")
    return found


@jax.jit
def _decompose(
    matrix: Float[Array | np.ndarray, "d d"],
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    values, columns = jnp.linalg.eigh(matrix)
    return values[::-1], anchor_sign(columns[:, ::-1].T)


def _sought(matrix: Float[np.ndarray, "d d"], k: int) -> Pairs | None:
    """Returns the largest eigenpairs, or nothing if the space of search becomes too large."""
    width, size = len(matrix), k + _SPARE
    start = np.random.RandomState(0).standard_normal((width, size))
    block = np.linalg.qr(start)[0]
    basis, images = np.zeros((width, 0)), np.zeros((width, 0))
    while basis.shape[1] + size <= width // 2:
        image = matrix @ block
        basis = np.concatenate([basis, block], axis=1)
        images = np.concatenate([images, image], axis=1)
        within = basis.T @ images
        values, turn = np.linalg.eigh((within + within.T) / 2)
        values, turn = values[::-1][:k], turn[:, ::-1][:, :k]
        vectors = basis @ turn
        residuals = np.linalg.norm(images @ turn - vectors * values[None], axis=0)
        if residuals.max() <= _RESIDUAL * values[0]:
            largest = np.abs(vectors).argmax(axis=0)
            return values, (vectors * np.sign(vectors[largest, np.arange(k)])[None]).T
        block = image
        for _ in range(3):  # also what is left of nothing becomes orthonormal
            block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
    return None

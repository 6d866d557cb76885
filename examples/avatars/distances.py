"""How far generated avatars are from real ones, in the features of an attribute network.

Frechet distance: Heusel et al., arXiv:1706.08500. Precision and recall: Kynkaanniemi et al.,
arXiv:1904.06991.
"""

import numpy as np
from jaxtyping import Float, Int

from examples.avatars.data import HIDDEN
from jaxlatent.errors import UserError


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Returns the squared Frechet distance of two normal distributions fitted to the features."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    if min(len(a), len(b)) < 2:
        raise UserError("a distribution needs at least two samples")
    first, second = (np.atleast_2d(np.cov(x.T)) for x in (a, b))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    gap = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, gap + np.trace(first) + np.trace(second) - 2 * shared))


def coverage(
    samples: Float[np.ndarray, "n d"], manifold: Float[np.ndarray, "m d"], neighbours: int = 3
) -> float:
    """Returns the share of `samples` that lie in the neighbourhood of a point of `manifold`.

    Precision is that of generated samples in the real manifold, recall the other way round. A
    point's neighbourhood reaches as far as its `neighbours`-th nearest neighbour.
    """
    if not 0 < neighbours < len(manifold):
        raise UserError(f"neighbours must be in [1, {len(manifold) - 1}], got {neighbours}")
    radii = np.partition(_distances(manifold, manifold), neighbours, axis=1)[:, neighbours]
    return float((_distances(samples, manifold) <= radii[None]).any(1).mean())


def _distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> np.ndarray:
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    return np.maximum(squares, 0)


def frequencies(labels: Int[np.ndarray, " n"], size: int) -> Float[np.ndarray, " v"]:
    """Returns how often each of `size` values occurs among the labels that are not hidden."""
    seen = labels[labels != HIDDEN]
    return np.bincount(seen, minlength=size) / max(1, len(seen))

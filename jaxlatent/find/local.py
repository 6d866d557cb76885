"""Directions that change the image most, close to some codes (arXiv:1812.01161)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxlatent.directions import Directions
from jaxlatent.find.jacobian import found_by, jacobian_grams, move_size
from jaxlatent.find.vectors import check_count
from jaxlatent.generators import Generator, Labels


def local_directions(
    generator: Generator,
    codes: Float[Any, "n L d"],
    k: int,
    *,
    view: Any = None,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    chunk: int = 16,
) -> Directions:
    r"""Finds the `k` orthogonal directions that change the image most, close to the codes.

    The eigenvectors of the mean of $J^\top J / p$ over the codes, with the Jacobian $J$ of the
    image's `p` numbers by the code. Other arguments as of `jacobian_grams`.

    Args:
        generator: the generator.
        codes: one code for its own directions, or several for those of their average.
        k: number of directions.
        view: function of images to what counts.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        chunk: axes in one step.

    Returns:
        Unit `vectors`; `scores` are the mean squared changes of a pixel for a move by 1.

    Raises:
        UserError: if `k` is out of range or something does not fit.

    References:
        Ramesh, Choi and LeCun, "A Spectral Regularizer for Unsupervised Disentanglement", 2018,
        arXiv:1812.01161; Zhu et al., "Low-Rank Subspaces in GANs", NeurIPS 2021,
        arXiv:2106.04488.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> local_directions(DCGAN(config, rngs=nnx.Rngs(0)), jnp.zeros((1, 1, 2)), 2).names
        ('jacobian 0', 'jacobian 1')
    """
    check_count(k, move_size(generator, layers, shared))
    grams = jacobian_grams(
        generator, codes, view=view, layers=layers, shared=shared, label=label, chunk=chunk
    )
    values, vectors = np.linalg.eigh(grams.region)
    return found_by(
        "jacobian",
        (generator, layers, grams.rows),
        vectors.T[::-1][:k],
        np.maximum(values[::-1][:k], 0),
        {"k": k, "shared": shared, "codes": len(codes)},
    )

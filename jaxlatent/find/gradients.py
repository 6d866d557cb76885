"""Directions in which a scorer's gradients agree over many codes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples, Scorer, argument
from jaxlatent.find.walks import learned
from jaxlatent.generators import Generator, Labels

SIGN_ANCHOR = "the score grows"


def scorer_gradients(
    generator: Generator,
    codes: Float[Any, "n L d"],
    scorer: Scorer,
    *,
    names: Sequence[str] | None = None,
    normalise: bool = True,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    chunk: int = 8,
) -> Directions:
    r"""Finds the direction along which a differentiable scorer's gradients point on average.

    With $g_i = \nabla_w A(G(w_i))$ it is $v = \bar g / \|\bar g\|$ for the mean of $g_i$, or of
    $g_i / \|g_i\|$. To first order the score grows by $\beta = \frac1n \sum_i g_i \cdot v$ along
    $v$; an edit by 1 moves by $1 / \beta$, that is, by what raises the score by 1.

    Args:
        generator: the generator.
        codes: where gradients are taken, a row for each layer.
        scorer: function of images, in JAX, to one number for each or to `k` numbers [n, k].
        names: one for each number.
        normalise: whether each code's gradient counts by its direction only, so that a few steep
            places do not outvote the others.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        chunk: codes in one step; results do not depend on it.

    Returns:
        Unit `vectors` [k, 1, d], or [k, L, d] if not `shared`; `scores` are the slopes $\beta$,
        largest first; `scale` is $1 / \beta$.

    Raises:
        UserError: if the codes do not fit the generator, the scorer returns no numbers for each
            image, or a score does not change with the codes.

    References:
        The first-order case of GANalyze: Goetschalckx et al., ICCV 2019, arXiv:1906.10112.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, red = DCGAN(config, rngs=nnx.Rngs(0)), lambda x: x[..., 0].mean((1, 2))
        >>> scorer_gradients(generator, jnp.ones((4, 1, 2)), red).vectors.shape
        (1, 1, 2)
    """
    samples = Samples.of(generator, codes, label, layers)
    score = argument(scorer)
    n = samples.codes.shape[0]
    k = _outputs(samples, score)
    if names is not None and len(names) != k:
        raise UserError(f"the scorer returns {k} numbers; give as many names, got {len(names)}")
    if chunk < 1:
        raise UserError(f"chunk must be at least 1, got {chunk}")
    m = samples.rows(shared)
    gradients = np.empty((n, k, m, samples.codes.shape[2]), np.float32)
    for start in range(0, n, chunk):
        index = np.minimum(np.arange(start, start + chunk, dtype=np.int32), n - 1)
        part = _gradients(samples, score, jnp.asarray(index), m)
        gradients[start : start + chunk] = part[: n - start]
    units = gradients.astype(np.float64)
    lengths = np.sqrt(np.sum(np.square(units), axis=(2, 3), keepdims=True))
    weighted = units / np.where(lengths > 0, lengths, 1) if normalise else units
    means = weighted.mean(axis=0)
    norms = np.sqrt(np.sum(np.square(means), axis=(1, 2), keepdims=True))
    vectors = means / np.where(norms > 0, norms, 1)
    slopes = np.einsum("nkmd,kmd->k", units, vectors) / n
    flat = [str(i) for i in np.flatnonzero(~(np.isfinite(slopes) & (slopes > 0)))]
    if flat:
        raise UserError(
            f"score {', '.join(flat)} does not grow along the mean gradient: is the scorer "
            "differentiable, and does it read what these layers change?"
        )
    return learned(
        samples,
        vectors / slopes[:, None, None],
        slopes,
        names or [f"gradient {i}" for i in range(k)],
        layers,
        method="scorer_gradients",
        sign_anchor=SIGN_ANCHOR,
        parameters={"normalise": normalise, "shared": shared, "codes": n},
    )


def _scores(
    samples: Samples, scorer: Any, index: Int[Array, " b"], vectors: Float[Array, "b m d"]
) -> Float[Array, "b k"]:
    """Returns the scores of codes moved by `vectors`."""
    codes, label = samples.at(index)
    scores = jnp.asarray(scorer(samples.render(codes + samples.place(vectors), label)))
    return scores[:, None] if scores.ndim == 1 else scores


def _outputs(samples: Samples, scorer: Any) -> int:
    """Returns how many numbers the scorer gives to an image."""
    index = jnp.zeros(2, jnp.int32)
    vectors = jnp.zeros((2, 1, samples.codes.shape[2]))
    shape = jax.eval_shape(
        lambda s, f: f(s.render(s.at(index)[0] + s.place(vectors), s.at(index)[1])),
        samples,
        scorer,
    ).shape
    if len(shape) not in (1, 2) or shape[0] != 2 or 0 in shape:
        raise UserError(
            "the scorer must return one number or k numbers for each image; for 2 images it "
            f"returned the shape {list(shape)}"
        )
    return 1 if len(shape) == 1 else shape[1]


@partial(jax.jit, static_argnames="m")
def _gradients(
    samples: Samples, scorer: Any, index: Int[Array, " b"], m: int
) -> Float[Array, "b k m d"]:
    """Returns for each code the gradients of its scores by a move of the layers."""
    zero = jnp.zeros((index.shape[0], m, samples.codes.shape[2]), samples.codes.dtype)
    scores, pull = jax.vjp(lambda v: _scores(samples, scorer, index, v), zero)
    each = jnp.eye(scores.shape[1], dtype=scores.dtype)
    cotangents = jnp.broadcast_to(each[:, None], (each.shape[0], *scores.shape))
    return jnp.swapaxes(jax.vmap(lambda c: pull(c)[0])(cotangents), 0, 1)

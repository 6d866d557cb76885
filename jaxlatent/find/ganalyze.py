"""Directions that raise any scorer by a given amount: Goetschalckx et al., arXiv:1906.10112."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples, Scorer, argument
from jaxlatent.find.training import Training, base_key, measure, tenths, train
from jaxlatent.find.walks import learned, with_length_of
from jaxlatent.generators import Generator, Labels
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress

SIGN_ANCHOR = "the score grows"
_MEASURED = 256  # samples, of which the scores are taken


def ganalyze(
    generator: Generator,
    codes: Float[Any, "n L d"],
    scorer: Scorer,
    *,
    key: AnyKey,
    training: Training | None = None,
    reach: float = 0.5,
    keep_norm: bool = True,
    per_class: bool = False,
    name: str = "score",
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    progress: Progress | None = None,
) -> Directions:
    r"""Trains the direction that raises a scorer by just as much as it is asked to.

    Minimises $(A(G(T(w, \alpha))) - A(G(w)) - \alpha)^2$ with $T(w, \alpha) = w + \alpha\theta$,
    scaled back to the length of $w$, over codes and $\alpha \sim U(-r, r)$. (The original takes
    one length over the whole batch; here each code keeps its own, row by row. It also starts from
    a random walk, of which all stays that the scorer does not see; here walks start at 0.)

    Args:
        generator: the generator.
        codes: what training draws from, a row for each layer.
        scorer: differentiable function of images, in JAX, to one number for each.
        key: randomness; the same key gives the same direction.
        training: how long and how fast; by default `Training()`.
        reach: largest amount r, in the scorer's units.
        keep_norm: whether moved codes keep their length, as fits a z drawn from a normal
            distribution; `False` for W. Edits themselves do not scale codes back.
        per_class: one direction for each class that occurs in `label`, which must be integers.
        name: of what the scorer measures.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        progress: called with the steps done and their number.

    Returns:
        Unit `vectors`, `scale` the length of the walk that is to raise the score by 1. `scores`
        are the slopes measured after training: by how much the score grows for 1 that is asked.

    Raises:
        UserError: if something does not fit, the scorer does not return one number for each
            image, or the loss stops being finite.

    References:
        Goetschalckx, Andonian, Oliva and Isola, "GANalyze: Toward Visual Definitions of Cognitive
        Image Properties", ICCV 2019, arXiv:1906.10112.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, red = DCGAN(config, rngs=nnx.Rngs(0)), lambda x: x[..., 0].mean((1, 2))
        >>> key = jax.random.key(0)
        >>> ganalyze(generator, jnp.ones((4, 1, 2)), red, key=key, training=Training(2)).names
        ('score',)
    """
    training = training or Training()
    samples = Samples.of(generator, codes, label, layers)
    score = argument(scorer)
    check_scorer(samples, score)
    if not 0 < reach < float("inf"):
        raise UserError(f"reach must be positive, got {reach}")
    kinds, classes = _kinds(samples, per_class)
    key = base_key(key)
    shape = (max(1, len(classes)), samples.rows(shared), samples.codes.shape[2])
    start = jnp.zeros(shape)
    context = (samples, score, kinds, jnp.float32(reach), jnp.float32(keep_norm))
    walks, history = train(_loss, start, context, key, training, progress, isotropic=True)
    sums = np.sum(measure(_fit, walks, context, key, training, _MEASURED), axis=0)
    slopes = sums[0] / np.where(sums[1] > 0, sums[1], 1)
    return learned(
        samples,
        walks,
        slopes,
        [f"{name}, class {i}" for i in classes] or [name],
        layers,
        method="ganalyze",
        sign_anchor=SIGN_ANCHOR,
        parameters={
            **vars(training),
            "reach": reach,
            "keep_norm": keep_norm,
            "per_class": per_class,
            "shared": shared,
            "losses": tenths(history),
        },
    )


def check_scorer(samples: Samples, scorer: Any) -> None:
    """Raises `UserError` unless the scorer returns one number for each image."""
    index = jnp.zeros(2, jnp.int32)
    result = jax.eval_shape(lambda s, f: f(s.render(*s.at(index))), samples, scorer)
    if getattr(result, "shape", None) != (2,):
        raise UserError(
            f"the scorer must return one number for each image; for 2 images it returned {result}"
        )


def _kinds(samples: Samples, per_class: bool) -> tuple[Int[Array, " n"], list[int]]:
    """Returns the number of each code's direction, and the classes that these belong to."""
    n = samples.codes.shape[0]
    if not per_class:
        return jnp.zeros(n, jnp.int32), []
    label = samples.label
    if label is None or label.ndim != 1:
        raise UserError(f"per_class needs a label, {n} integers, one for each code")
    classes, kinds = np.unique(label, return_inverse=True)
    return jnp.asarray(kinds, jnp.int32), classes.tolist()


def _rise(walks: Float[Array, "k m d"], context: Any, keys: Array) -> tuple[Array, Array, Array]:
    """Returns by how much scores grew, the amounts that were asked, and whose direction it was."""
    samples, scorer, kinds, reach, keep_norm = context
    index, uniform = samples.draw(keys, 1)
    amounts = reach * (2 * uniform[:, 0] - 1)
    codes, label = samples.at(index)
    moved = codes + amounts[:, None, None] * samples.place(walks)[kinds[index]]
    moved = jnp.where(keep_norm > 0, with_length_of(codes, moved), moved)
    scores = [scorer(samples.render(c, label)) for c in (moved, codes)]
    return scores[0] - scores[1], amounts, kinds[index]


def _loss(walks: Float[Array, "k m d"], context: Any, keys: Array) -> Float[Array, ""]:
    rise, amounts, _ = _rise(walks, context, keys)
    return jnp.mean(jnp.square(rise - amounts))


def _fit(walks: Float[Array, "k m d"], context: Any, keys: Array) -> tuple[Array, Array]:
    """Returns for each direction the sums of amount times rise, and of amount squared."""
    rise, amounts, kinds = _rise(walks, context, keys)
    zero = jnp.zeros(walks.shape[0])
    return zero.at[kinds].add(rise * amounts), zero.at[kinds].add(jnp.square(amounts))

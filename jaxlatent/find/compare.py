"""What two sets of directions have in common, and what the directions of one set are about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of directions, the most alike first.

    Attributes:
        first: numbers in the first set.
        second: numbers in the second set, each with the one at the same place in `first`.
        cosines: of the pairs; negative if they point away from each other.
        names: of the pairs.
    """

    first: Int[np.ndarray, " p"]
    second: Int[np.ndarray, " p"]
    cosines: Float[np.ndarray, " p"]
    names: tuple[tuple[str, str], ...]


def cosines(a: Directions, b: Directions) -> Float[np.ndarray, "k j"]:
    """Returns the cosine between each direction of `a` and each of `b`, float64.

    A direction that is the same for all layers is compared with one that has a row for each layer
    as if it had these rows too.

    Raises:
        UserError: if they are in different spaces, or differ in width or layers.

    Example:
        >>> axes = Directions.of(np.eye(2)[:, None])
        >>> cosines(axes, Directions.of(np.array([[[0.6, 0.8]]]))).tolist()
        [[0.6], [0.8]]
    """
    first, second = _units(a, b)
    return first @ second.T


def match(a: Directions, b: Directions) -> Matches:
    """Pairs the directions of two sets so that the sum of the absolute cosines is largest.

    Args:
        a: some directions.
        b: others of the same space; of the larger set some are left over.

    Raises:
        UserError: if they are in different spaces, or differ in width or layers.

    Example:
        >>> a = Directions.of(np.eye(3)[:2, None], names=["smile", "age"])
        >>> b = Directions.of(-np.eye(3)[::-1, None], names=["pc 0", "pc 1", "pc 2"])
        >>> found = match(a, b)
        >>> found.names, found.cosines.tolist()
        ((('smile', 'pc 2'), ('age', 'pc 1')), [-1.0, -1.0])
    """
    from scipy.optimize import linear_sum_assignment

    table = cosines(a, b)
    rows, columns = linear_sum_assignment(-np.abs(table))
    order = np.argsort(-np.abs(table[rows, columns]), kind="stable")
    rows, columns = rows[order], columns[order]
    names = tuple((a.names[i], b.names[j]) for i, j in zip(rows, columns, strict=True))
    return Matches(rows, columns, table[rows, columns], names)


def subspace_angles(a: Directions, b: Directions) -> Float[np.ndarray, " p"]:
    """Returns the principal angles between what two sets span, in radians, the smallest first.

    They do not depend on signs, order or mixture of the directions within a set: two estimates of
    the same principal components have small angles even where single components differ.

    Raises:
        UserError: if they are in different spaces, or differ in width or layers.

    References:
        Knyazev and Argentati, SIAM Journal on Scientific Computing 2002.

    Example:
        >>> a = Directions.of(np.eye(3)[:2, None])
        >>> b = Directions.of(np.array([[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]))
        >>> subspace_angles(a, b).round(3).tolist()
        [0.0, 1.571]
    """
    from scipy.linalg import subspace_angles as angles

    first, second = _units(a, b)
    return angles(first.T, second.T)[::-1]


@dataclass(frozen=True, eq=False)
class Naming:
    """Directions with names after what they change.

    Attributes:
        directions: with new names, turned so that the scores that they are called after grow.
        correlations: Pearson's, of the positions along each direction (turned) with each score.
        attributes: the scores' names.
    """

    directions: Directions
    correlations: Float[np.ndarray, "k a"]
    attributes: tuple[str, ...]


def name_by_scores(
    directions: Directions,
    codes: Float[Array | np.ndarray, "..."],
    scores: Float[Array | np.ndarray, "n a"],
    attributes: Sequence[str],
    threshold: float = 0.2,
) -> Naming:
    """Names directions after the scores that their positions are correlated with.

    A direction is called after the score of largest absolute correlation, and turned if it is
    negative. Of several called after one score, the second and further are numbered, the most
    correlated first. Below the threshold a direction keeps its name, which others then do not get:
    they are numbered from 2.

    Args:
        directions: of any method.
        codes: codes in the directions' space, [n, d] or [n, L, d].
        scores: of the codes' images.
        attributes: the scores' names.
        threshold: least absolute correlation, in [0, 1].

    Raises:
        UserError: if shapes do not fit, a score does not vary, or names repeat.

    Example:
        >>> codes = np.random.RandomState(0).standard_normal((500, 3))
        >>> axes = Directions.of(np.eye(3)[:, None])
        >>> scores = codes[:, :2] * np.array([[-1.0, 2.0]])
        >>> name_by_scores(axes, codes, scores, ["age", "smile"]).directions.names
        ('age', 'smile', 'direction 2')
    """
    k, m, d = directions.vectors.shape
    x, y = np.asarray(codes, np.float64), np.asarray(scores, np.float64)
    problems = []
    if x.ndim not in (2, 3) or x.shape[-1] != d or (m > 1 and x.shape[1:] != (m, d)):
        problems.append(f"codes must be [n, {'' if m == 1 else f'{m}, '}{d}], got {list(x.shape)}")
    if y.shape != (len(x), len(attributes)):
        problems.append(f"scores must be {[len(x), len(attributes)]}, got {list(y.shape)}")
    if len(set(attributes)) != len(attributes) or not len(attributes):
        problems.append(f"attributes must be different names, got {list(attributes)}")
    if not 0 <= threshold <= 1:
        problems.append(f"threshold must be in [0, 1], got {threshold}")
    if problems:
        raise UserError("; ".join(problems))
    table = _correlations(_coordinates(directions, x), y, attributes)
    best = np.abs(table).argmax(axis=1)
    strength = np.abs(table).max(axis=1)
    named = strength >= threshold
    names = list(directions.names)
    taken = {name for name, new in zip(names, named, strict=True) if not new}
    for i in np.argsort(-strength, kind="stable"):
        if named[i]:
            attribute = attributes[best[i]]
            numbered = (f"{attribute} {number}" for number in count(2))
            names[i] = next(name for name in chain([attribute], numbered) if name not in taken)
            taken.add(names[i])
    turn = np.where(named & (table[np.arange(k), best] < 0), -1, 1)
    turned = replace(
        directions,
        vectors=jnp.asarray(directions.vectors) * jnp.asarray(turn)[:, None, None],
        intercept=jnp.asarray(directions.intercept) * jnp.asarray(turn),
        names=tuple(names),
        sign_anchor=f"the score grows, where named by one; else: {directions.sign_anchor}",
    )
    return Naming(turned, table * turn[:, None], tuple(attributes))


def _coordinates(directions: Directions, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "n k"]:
    """Returns where codes are along directions; offsets and units, which do not count, left out."""
    vectors = np.asarray(directions.vectors, np.float64)
    if vectors.shape[1] > 1:
        return np.einsum("nld,kld->nk", x, vectors)
    if x.ndim == 3:
        x = x[:, list(directions.layers)] if directions.layers else x
        x = x.mean(axis=1)
    return x @ vectors[:, 0].T


def _correlations(
    x: Float[np.ndarray, "n k"], y: Float[np.ndarray, "n a"], attributes: Sequence[str]
) -> Float[np.ndarray, "k a"]:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    spread_x, spread_y = np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0)
    constant = [attributes[i] for i in np.flatnonzero(~(spread_y > 0)).tolist()]
    if constant:
        raise UserError(f"scores that do not vary, or are not finite: {', '.join(constant)}")
    if not (spread_x > 0).all():
        raise UserError("the codes do not vary along all directions, or are not finite")
    return (x.T @ y) / np.outer(spread_x, spread_y)


def _units(
    a: Directions, b: Directions
) -> tuple[Float[np.ndarray, "k w"], Float[np.ndarray, "j w"]]:
    """Returns both sets as rows of unit length."""
    if a.space and b.space and a.space != b.space:
        raise UserError(f"directions in {a.space} and in {b.space} cannot be compared")
    (_, m, d), (_, layers, width) = a.vectors.shape, b.vectors.shape
    if d != width or (m != layers and 1 not in (m, layers)):
        raise UserError(
            f"directions of {m} x {d} and of {layers} x {width} numbers cannot be compared"
        )
    rows = max(m, layers)

    def flat(directions: Directions) -> np.ndarray:
        vectors = np.asarray(directions.vectors, np.float64)
        vectors = np.broadcast_to(vectors, (len(vectors), rows, d)).reshape(len(vectors), -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return flat(a), flat(b)

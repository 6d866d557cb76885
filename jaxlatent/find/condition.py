"""Conditional manipulation: Shen et al., InterFaceGAN, TPAMI 2020, arXiv:2005.09635."""

from dataclasses import replace

import numpy as np

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError, listed

_TOLERANCE = 1e-5  # sine of the angle to a span, below which a vector counts as within it


def condition(directions: Directions, *conditions: Directions) -> Directions:
    r"""Takes from directions what they share with others, which then stay where they are.

    A direction becomes $n - QQ^Tn$, scaled to unit length, where the columns of Q are an
    orthonormal basis of the conditions (the Q of their QR factorisation, without the columns of
    conditions that depend on others).

    Args:
        directions: the directions to change; those with a row for each layer are projected as one
            vector over all layers.
        *conditions: directions whose positions are to stay.

    Returns:
        Unit `vectors` in the same order and type, without scores. `parameters` holds by name how
        much of each direction was left: the cosine between it and the new one, in (0, 1].
        Intercepts are divided by it: at codes that differ from `mean` along the new directions
        only, the boundaries are where they were. So is a `scale` other than 1, the unit of an
        attribute: at these codes positions are what they were, and an edit by 1, which is longer
        now, raises by 1 what it raised before. Positions that are lengths (scale 1) stay lengths.

    Raises:
        UserError: if there are no conditions, they do not go with the directions, or a direction
            lies in their span.

    References:
        Shen, Yang, Tang and Zhou, "InterFaceGAN: Interpreting the Disentangled Face
        Representation Learned by GANs", TPAMI 2020, arXiv:2005.09635.

    Example:
        >>> found = Directions.of(np.array([[[0.6, 0.8]], [[0.0, 1.0]]]), names=["age", "glasses"])
        >>> condition(found[0], found[1])
        Directions(1 by condition in unbound, [1, 2] each: age given glasses)
    """
    _check(directions, conditions)
    given = np.concatenate([_rows(c) for c in conditions])
    names = [name for c in conditions for name in c.names]
    basis = _basis(given / np.linalg.norm(given, axis=1, keepdims=True))
    before = _rows(directions)
    after = before - (before @ basis) @ basis.T
    after -= (after @ basis) @ basis.T  # what rounding left of them
    left = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
    within = [n for n, share in zip(directions.names, left, strict=True) if share <= _TOLERANCE]
    if within:
        raise UserError(
            f"nothing is left of {listed(within)}: within the span of {listed(names)}; drop a "
            "condition"
        )
    vectors = np.asarray(directions.vectors)
    unit = after / np.linalg.norm(after, axis=1, keepdims=True)
    scale = np.asarray(directions.scale)
    return replace(
        directions,
        vectors=unit.reshape(vectors.shape).astype(vectors.dtype),
        scores=np.zeros_like(np.asarray(directions.scores)),
        scale=np.where(scale == 1, scale, scale / left).astype(scale.dtype),
        intercept=(np.asarray(directions.intercept) / left).astype(directions.intercept.dtype),
        names=tuple(f"{name} given {listed(names, 3)}" for name in directions.names),
        method="condition",
        sign_anchor="the direction without conditions grows",
        parameters={
            "of": {"method": directions.method, "parameters": dict(directions.parameters)},
            "conditions": names,
            "left": dict(zip(directions.names, left.tolist(), strict=True)),
        },
    )


def _rows(directions: Directions) -> np.ndarray:
    """Returns each direction as one vector, in float64."""
    return np.asarray(directions.vectors, np.float64).reshape(len(directions), -1)


def _basis(vectors: np.ndarray) -> np.ndarray:
    """Returns orthonormal columns that span unit vectors: a QR factorisation without their R."""
    basis = np.zeros((0, vectors.shape[1]))
    for vector in vectors:
        for _ in range(2):  # once leaves rounding errors of what is nearly dependent
            vector = vector - (basis @ vector) @ basis
        length = np.linalg.norm(vector)
        if length > _TOLERANCE:
            basis = np.concatenate([basis, vector[None] / length])
    return basis.T


def _check(directions: Directions, conditions: tuple[Directions, ...]) -> None:
    if not conditions:
        raise UserError("there are no conditions; give at least one")
    problems = []
    for other in conditions:
        what = listed(list(other.names), 3)
        if other.vectors.shape[1:] != directions.vectors.shape[1:]:
            shapes = list(other.vectors.shape[1:]), list(directions.vectors.shape[1:])
            problems.append(f"{what} are of shape {shapes[0]}, not {shapes[1]}")
        for field in ("space", "fingerprint"):
            one, two = getattr(directions, field), getattr(other, field)
            if one and two and one != two:
                problems.append(f"{what} have {field} {two}, not {one}")
        if not np.linalg.norm(_rows(other), axis=1).all():
            problems.append(f"{what} hold a zero vector")
    if problems:
        raise UserError(f"the conditions do not go with the directions: {'; '.join(problems)}")

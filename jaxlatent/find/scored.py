"""Codes and their scores as tables, and the two ends of a ranking, split to learn and to test."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import ArrayLike
from jaxlatent.errors import UserError, listed

_TRAINED = 0.7  # share of the chosen samples that a classifier sees


class Scored(NamedTuple):
    """Codes with scores for named attributes.

    Attributes:
        codes: all rows of a code in one.
        scores: of each attribute.
        names: of the attributes.
        row_shape: layers and width of a code.
    """

    codes: Float[ArrayLike, "n e"]
    scores: Float[np.ndarray, "n a"]
    names: tuple[str, ...]
    row_shape: tuple[int, int]


def flattened(what: str, codes: ArrayLike) -> tuple[Float[ArrayLike, "n e"], tuple[int, int]]:
    """Returns codes [n, d] or [n, L, d] as [n, L d], with L (or 1) and d.

    Raises:
        UserError: if they are not such codes, none, not of a floating type, or not finite.
    """
    codes = codes if isinstance(codes, jax.Array) else np.asarray(codes)
    if codes.ndim not in (2, 3) or not all(codes.shape):
        raise UserError(f"{what} must be [n, d] or [n, layers, d], got {list(codes.shape)}")
    if not jnp.issubdtype(codes.dtype, jnp.floating):
        raise UserError(f"{what} must be of a floating type, got {codes.dtype}")
    # JAX would turn NumPy's float64 into float32 first, and what is too large into infinity
    largest = np.abs(codes).max() if isinstance(codes, np.ndarray) else _largest(codes)
    if not float(largest) <= float(np.finfo(np.float32).max):
        raise UserError(f"{what} hold numbers that are not finite in float32")
    layers = codes.shape[1] if codes.ndim == 3 else 1
    return codes.reshape(codes.shape[0], -1), (layers, codes.shape[-1])


@jax.jit
def _largest(codes: Array) -> Float[Array, ""]:
    return jnp.abs(codes).max()


def tabulate(codes: ArrayLike, scores: ArrayLike, names: Sequence[str] | None) -> Scored:
    """Puts codes, scores [n] or [n, a] and names together; without names, there are numbers.

    Raises:
        UserError: if they do not agree, or two names are the same.
    """
    flat, row_shape = flattened("codes", codes)
    table = np.asarray(scores)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != len(flat) or not table.shape[1]:
        raise UserError(
            f"scores must be [{len(flat)}] or [{len(flat)}, attributes], one for each code, got "
            f"{list(np.shape(scores))}"
        )
    count = table.shape[1]
    if isinstance(names, str):
        names = (names,)
    names = tuple(f"attribute {i}" for i in range(count)) if names is None else tuple(names)
    if len(names) != count or len(set(names)) != count:
        raise UserError(f"{count} different names are needed, got {listed(list(names))}")
    return Scored(flat, table, names, row_shape)


class Ends(NamedTuple):
    """The samples that score highest and lowest, by number.

    Attributes:
        train: to learn from, half of them high, these first.
        held_out: to test with, as `train`.
        rest: the others that have a score.
        threshold: the middle of the scores' range.
    """

    train: np.ndarray
    held_out: np.ndarray
    rest: np.ndarray
    threshold: float


def signs(samples: np.ndarray) -> np.ndarray:
    """Returns 1 for the first half, -1 for the second."""
    return np.where(np.arange(len(samples)) < len(samples) // 2, 1, -1)


def ends(
    samples: Scored, lots: Float[np.ndarray, " n"], ratio: float, invalid: float | None
) -> list[Ends]:
    """Chooses each attribute's ends and splits them by the samples' lots, 70% to learn from.

    Args:
        samples: codes and scores.
        lots: a random number for each sample.
        ratio: share of the samples at each end, or their number if above 1.
        invalid: score of samples that have none; may be `nan`.

    Raises:
        UserError: if `ratio` is not above 0, scores are not finite, or too few or too equal.
    """
    if not 0 < ratio < np.inf:
        raise UserError(f"ratio must be in (0, 1], or a number of samples, got {ratio}")
    problems, found = [], []
    for name, column in zip(samples.names, samples.scores.T, strict=True):
        problem, one = _ends(column, lots, ratio, invalid)
        found.append(one)
        if problem:
            problems.append(f"{name}: {problem}")
    if problems:
        raise UserError(listed(problems))
    return found


def _ends(
    scores: np.ndarray, lots: np.ndarray, ratio: float, invalid: float | None
) -> tuple[str, Ends]:
    """Returns what is wrong, if anything, and one attribute's ends."""
    nothing = Ends(*(np.zeros(0, int),) * 3, 0.0)
    ignored = np.zeros(len(scores), bool)
    if invalid is not None:
        ignored = np.isnan(scores) if np.isnan(invalid) else scores == invalid
    (valid,) = np.nonzero(~ignored)
    if not np.isfinite(scores[valid]).all():
        return "scores are not finite; invalid=nan ignores those that are not a number", nothing
    k = int(len(valid) * ratio) if ratio <= 1 else int(ratio)
    k = min(k, len(valid) // 2)
    if k < 2:
        return f"2 samples are needed at each end, {len(valid)} scores give {k}", nothing
    if scores[valid].min() == scores[valid].max():
        return f"all {len(valid)} scores are {scores[valid][0]:g}; they must vary", nothing
    order = valid[np.argsort(-scores[valid], kind="stable")]
    high, low, rest = order[:k], order[-k:], order[k:-k]
    if not scores[high[-1]] > scores[low[0]]:
        return f"the highest {k} and the lowest {k} scores overlap; lower ratio", nothing
    high, low = (side[np.argsort(lots[side], kind="stable")] for side in (high, low))
    cut = int(k * _TRAINED)
    threshold = (float(scores[order[0]]) + float(scores[order[-1]])) / 2
    return "", Ends(
        np.concatenate([high[:cut], low[:cut]]),
        np.concatenate([high[cut:], low[cut:]]),
        rest,
        threshold,
    )

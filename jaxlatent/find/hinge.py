"""The hinge loss at its optimum, by Newton steps that sum up few of the samples."""

from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float

from jaxlatent.find.optimum import Optimum, reached

_STEPS = 1000
_PATIENCE = 100  # steps without a smaller gap after which rounding errors rule
_FIRST = 10.0  # stiffness of the springs, times the mean square of a sample's length
_EASY = 3  # steps up to which springs were easily brought to rest, and may become
_FASTER, _SLOWER = 3.0, 1.5  # this much stiffer; otherwise this much
_LOOSE = 0.3  # energy of what is unbalanced, by that of the springs, up to which these rest
_HALVINGS = 60  # of a step, after which it is nothing
_ROUGH = 1e4  # stiffness, times that mean square, up to which float32 does for the curvature


class _Springs(NamedTuple):
    """A force on each sample, that grows as its margin falls short, within 0 and c.

    Attributes:
        held: forces at a margin of 1, the dual variables as they are known.
        stiffness: how much a force grows for each 1 that the margin is short.
    """

    held: Float[np.ndarray, " r"]
    stiffness: float

    def forces(self, margins: Float[np.ndarray, " r"], c: float) -> Float[np.ndarray, " r"]:
        return np.clip(self.held + self.stiffness * (1 - margins), 0, c)


def hinge(b: Float[np.ndarray, "r e"], c: float) -> Optimum:
    r"""Minimises $\frac12\|w'\|^2 + C \sum \max(0, 1 - Bw)$, w' being w without its last element.

    An augmented Lagrangian of the dual: each hinge gives way to a spring, whose force on the
    weight is $a_i = \min(C, \max(0, h_i + k (1 - m_i)))$ at the margin $m_i$. Where they come to
    rest is found by Newton's method with an exact line search; the forces there become the next
    $h$. A Newton step sums up curvature over the samples whose force is neither 0 nor C, and
    these soon are those at a margin of 1 alone, about as many as there are dimensions. The forces
    are dual variables, which tell the gap.

    Args:
        b: samples with a 1 appended, times their signs.
        c: weight of the losses.

    Returns:
        The optimum, or what is closest to it, in float64.

    References:
        Rockafellar, "Augmented Lagrangians and Applications of the Proximal Point Algorithm in
        Convex Programming", Mathematics of Operations Research 1(2), 1976. Keerthi and DeCoste,
        "A Modified Finite Newton Method for Fast Solution of Large Scale Linear SVMs", JMLR 6,
        2005. Yan and Li, "An Efficient Augmented Lagrangian Method for Support Vector Machine",
        Optimization Methods and Software 35(4), 2020.
    """
    with np.errstate(all="ignore"):  # what overflows ends the search
        return _hinge(b, c)


def _hinge(b: Float[np.ndarray, "r e"], c: float) -> Optimum:
    samples, width = b.shape
    single = b.astype(np.float32)
    square = float(np.mean(np.einsum("re,re->r", b, b)))
    springs = _Springs(np.zeros(samples), min(c, _FIRST / square))
    w, margins = np.zeros(width), np.zeros(samples)
    forces, pull = np.zeros(samples), np.zeros(width)
    best, steps, idle, before = Optimum(w, np.inf, np.inf, 0), 0, 0, 0
    while steps < _STEPS and idle < _PATIENCE:
        new = springs.forces(margins, c)
        pull, forces = pull + _product(new - forces, b), new
        point, objective = w, _objective(w, margins, c)
        least = margins.min()
        if 0.9 < least < 1:  # no loss is left of a weight that is longer, which c may ask for
            far, there = w / least, _objective(w / least, margins / least, c)
            point, objective = (far, there) if there < objective else (point, objective)
        dual = forces.sum() - pull[:-1] @ pull[:-1] / 2
        unbalanced = (1 + abs(point[-1])) * abs(pull[-1])  # as the best intercept is not known
        gap = float(abs(objective - dual) + unbalanced)
        if not np.isfinite(gap):
            break
        idle = 0 if gap < 0.9 * best.gap else idle + 1
        if gap < best.gap:
            best = Optimum(point, objective, gap, steps)
            if reached(best):
                break
        slope = np.append(w[:-1], 0) - pull
        given = forces - springs.held
        if slope @ slope * springs.stiffness <= _LOOSE * (given @ given):
            growth = _FASTER if steps - before <= _EASY else _SLOWER
            springs, before = _Springs(forces, growth * springs.stiffness), steps
            continue
        zone = np.flatnonzero((forces > 0) & (forces < c))
        rows = (single if springs.stiffness * square < _ROUGH else b)[zone]
        try:
            move = _newton(rows, springs.stiffness, slope)
        except np.linalg.LinAlgError:
            break
        change = b @ move
        length = _length(springs, c, margins, change, w[:-1], move[:-1])
        w, margins, steps = w + length * move, margins + length * change, steps + 1
    return best._replace(steps=steps)


def _objective(w: Float[np.ndarray, " e"], margins: Float[np.ndarray, " r"], c: float) -> float:
    return float(w[:-1] @ w[:-1] / 2 + c * np.maximum(0, 1 - margins).sum())


def _product(
    change: Float[np.ndarray, " r"], b: Float[np.ndarray, "r e"]
) -> Float[np.ndarray, " e"]:
    """Returns `change @ b`, quickly if most of `change` is 0."""
    rows = np.flatnonzero(change)
    return change @ b if 2 * len(rows) > len(b) else change[rows] @ b[rows]


def _newton(
    rows: Float[np.ndarray, "z e"], stiffness: float, slope: Float[np.ndarray, " e"]
) -> Float[np.ndarray, " e"]:
    """Returns the step to where the slope vanishes if no sample enters or leaves the zone."""
    curved = stiffness * (rows.T @ rows).astype(np.float64)
    curved.flat[:: len(slope) + 1] += 1
    curved[-1, -1] += 1e-6 * stiffness - 1  # an intercept that no sample holds is not singular
    factor = scipy.linalg.cho_factor(curved, check_finite=False)
    return -scipy.linalg.cho_solve(factor, slope, check_finite=False)


def _length(
    springs: _Springs,
    c: float,
    margins: Float[np.ndarray, " r"],
    change: Float[np.ndarray, " r"],
    weight: Float[np.ndarray, " d"],
    move: Float[np.ndarray, " d"],
) -> float:
    """Returns how much of a step to take, at most 1: about until the descent ends."""

    def slope(length: float) -> float:
        pushed = springs.forces(margins + length * change, c) @ change
        return float(weight @ move + length * (move @ move) - pushed)

    low, high, first = 0.0, 1.0, slope(0.0)
    while slope(high) < first / 2 and np.isfinite(high):
        low, high = high, 4 * high
    if abs(slope(high)) <= -1e-6 * first:
        return high
    for _ in range(_HALVINGS):
        if high - low <= 1e-3 * high:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return high

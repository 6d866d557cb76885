"""A linear map from codes to attributes with orthogonal rows: the method of Pham et al.

Attributes are predicted as y = W z + b; the rows of W are the directions, and a penalty keeps
them from moving each other's attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.covariance import covariance
from jaxlatent.find.penalty import PENALTIES, TOLERANCE, Penalty, penalised, polished, unpenalised
from jaxlatent.find.vectors import NO_VARIANCE

Targets = Literal["standardised", "logits", "raw"]
Values = Float[Array | np.ndarray, "_ d"]

SIGN_ANCHOR = "the attribute grows"
TARGETS = ("standardised", "logits", "raw")

_CHUNK = 2048  # codes that are joined with their targets at once, in float64
_LOGIT_BOUND = 6.0  # where TL-GAN cuts off too: arctanh(2 p - 1) = 3


@dataclass(frozen=True, eq=False)
class LinearMaps:
    """Maps of `a` attributes by `s` strengths of the penalty; float64, in host memory.

    Attributes:
        strengths: weights of the penalty.
        weights: rows as they were fitted, not of unit length.
        biases: what is added.
        r2: share of each attribute's variance that is predicted, on the codes fitted to; 1 is all.
        similarity: mean absolute cosine between different rows; 0 is orthogonal.
        gram_error: Frobenius norm of W W' - I, over the number of attributes.
        gradient: largest entry of the loss's gradient, relative to that at W = 0.
        names: of the attributes.
        settings: what else the fit was given.
    """

    strengths: Float[np.ndarray, " s"]
    weights: Float[np.ndarray, "s a d"]
    biases: Float[np.ndarray, "s a"]
    r2: Float[np.ndarray, "s a"]
    similarity: Float[np.ndarray, " s"]
    gram_error: Float[np.ndarray, " s"]
    gradient: Float[np.ndarray, " s"]
    names: tuple[str, ...]
    settings: dict[str, str | int]

    def directions(self, index: int) -> Directions:
        """Returns the rows for one strength as directions; see `linear_map`."""
        w, r2 = self.weights[index], self.r2[index]
        lengths = np.linalg.norm(w, axis=1)
        order = np.argsort(-r2, kind="stable")
        arrays = (w / lengths[:, None], r2, 1 / lengths, self.biases[index] / lengths)
        vectors, scores, scale, intercept = (jnp.asarray(a[order], jnp.float32) for a in arrays)
        names = ("strength", "similarity", "gram_error", "gradient")
        fields = ("strengths", "similarity", "gram_error", "gradient")
        reported = {n: float(getattr(self, f)[index]) for n, f in zip(names, fields, strict=True)}
        return Directions.of(
            vectors[:, None],
            scores,
            [self.names[i] for i in order],
            scale=scale,
            intercept=intercept,
            method="linear_map",
            sign_anchor=SIGN_ANCHOR,
            parameters={
                **self.settings,
                **reported,
                "r2": float(r2.mean()),
                "row_norms": lengths[order].tolist(),
            },
        )


def linear_map(
    codes: Values,
    targets: Float[Array | np.ndarray, "_ a"],
    strength: float,
    *,
    penalty: Penalty = "cosine",
    kind: Targets = "standardised",
    names: Sequence[str] | None = None,
) -> Directions:
    r"""Finds one direction for each attribute, as orthogonal to each other as is asked for.

    Fits $y = W z + b$ by $\min \sum_i \overline{(y_i - w_i^\top z - b_i)^2} + \lambda P(W)$ with
    one of the penalties

    - "gram": $\|W W^\top - I\|^2$, that of the paper. It asks for unit rows too, which fights the
      fit: along a unit row the prediction of normally distributed codes has variance 1, so that
      attributes that are hard to predict are drawn too large;
    - "offdiag": the same without the diagonal, which may shrink rows instead of turning them;
    - "cosine": the sum of the squared cosines between different rows, which only turns them.

    With $\lambda = 0$ this is least squares, solved in closed form (of the least norm, if codes do
    not vary in all directions). Otherwise the loss, which depends on the samples through their
    covariances alone, is minimised from there by L-BFGS in float64, and by Newton's method where
    that stalls, until no entry of the gradient is above 1e-7 of the largest one at W = 0.

    A move by $\alpha w_i$ raises attribute $i$ by $\alpha \|w_i\|^2$ and attribute $j$ by
    $\alpha w_j^\top w_i$. The unit of the directions is such that a position is the predicted
    attribute (less its mean, in standard deviations, if standardised), and an edit by 1 raises it
    by 1.

    Args:
        codes: latent codes [n, d].
        targets: attributes of the codes' images, [n, a].
        strength: $\lambda$, at least 0.
        penalty: "gram", "offdiag" or "cosine".
        kind: "standardised" scales targets to mean 0 and variance 1; "logits" takes
            probabilities in [0, 1] and fits $\log(p / (1 - p))$, cut off at -6 and 6; "raw" fits
            them as they are.
        names: one for each attribute.

    Returns:
        Unit `vectors` [a, 1, d] with `intercept` and `scale`; `scores` are the shares of variance
        predicted (R2) on these codes, largest first. `parameters` has their mean "r2", the mean
        absolute cosine "similarity", "gram_error" and the fitted "row_norms"; what orthogonality
        has cost is the difference to the "r2" at strength 0, see `linear_map_sweep`.

    Raises:
        UserError: if shapes or options do not fit, a target does not vary, a row vanishes, or no
            optimum was found, as for strengths so large that float64 loses the fit beside them.

    References:
        Pham et al., on semantic directions by a regularised linear map (slides only; formulas
        above). Guan, "TL-GAN", 2018, for logits and unregularised regression.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (500, 3))
        >>> y = z @ jnp.array([[2.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
        >>> directions = linear_map(z, y, 0.0, names=["age", "glasses"])
        >>> sorted(directions.names), round(directions.parameters["similarity"], 2)
        (['age', 'glasses'], 0.71)
        >>> round(linear_map(z, y, 1e3).parameters["similarity"], 2)
        0.0
    """
    return linear_map_sweep(
        codes, targets, [strength], penalty=penalty, kind=kind, names=names
    ).directions(0)


def linear_map_sweep(
    codes: Values,
    targets: Float[Array | np.ndarray, "_ a"],
    strengths: Sequence[float],
    *,
    penalty: Penalty = "cosine",
    kind: Targets = "standardised",
    names: Sequence[str] | None = None,
) -> LinearMaps:
    """Fits the map for many strengths of the penalty at once, to choose one by what it costs.

    Args:
        codes: as in `linear_map`.
        targets: as in `linear_map`.
        strengths: any number, each at least 0.
        penalty: as in `linear_map`.
        kind: as in `linear_map`.
        names: as in `linear_map`.

    Raises:
        UserError: as in `linear_map`.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (500, 3))
        >>> y = z @ jnp.array([[2.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
        >>> maps = linear_map_sweep(z, y, [0.0, 1.0, 100.0])
        >>> maps.similarity.round(2).tolist(), maps.r2.mean(axis=1).round(2).tolist()
        ([0.71, 0.15, 0.0], [1.0, 0.9, 0.85])
    """
    names = _check(codes, targets, strengths, penalty, kind, names)
    y = np.asarray(targets, np.float64)
    if kind == "logits":
        with np.errstate(divide="ignore"):
            y = np.clip(np.log(y) - np.log1p(-y), -_LOGIT_BOUND, _LOGIT_BOUND)
    center, spread = y.mean(axis=0), y.std(axis=0)
    constant = [names[i] for i in np.flatnonzero(spread <= NO_VARIANCE * np.abs(y).max(axis=0))]
    if constant:
        raise UserError(f"targets that do not vary: {', '.join(constant)}")
    if kind == "standardised":
        y = (y - center) / spread
    parts = [slice(start, start + _CHUNK) for start in range(0, len(y), _CHUNK)]
    x = np.asarray(codes)
    found = covariance(np.concatenate([x[p], y[p]], axis=1) for p in parts)
    d = codes.shape[1]
    share = (found.count - 1) / found.count
    matrix = found.matrix * share
    variances = np.diag(matrix)[d:]
    lambdas = np.asarray(strengths, np.float64)
    with jax.enable_x64(True):
        solve = penalised if lambdas.any() else unpenalised
        solved = solve(matrix[:d, :d], matrix[d:, :d], lambdas, PENALTIES.index(penalty))
        w, gradient = (np.array(part) for part in solved)
        for i in np.flatnonzero((lambdas > 0) & ~(gradient <= TOLERANCE)):
            w[i], gradient[i] = polished(
                w[i], matrix[:d, :d], matrix[d:, :d], lambdas[i], PENALTIES.index(penalty)
            )
    failed = (lambdas > 0) & ~(gradient <= TOLERANCE)
    if failed.any():
        worst = ", ".join(f"{lambdas[i]:g} ({gradient[i]:.0e})" for i in np.flatnonzero(failed))
        raise UserError(
            f"no optimum was found for the strength {worst}: the gradient is above "
            f"{TOLERANCE:g} of that without a map; lower the strength"
        )
    lengths = np.linalg.norm(w, axis=2)
    lost = [names[i] for i in np.flatnonzero((lengths <= NO_VARIANCE).any(axis=0))]
    if lost:
        raise UserError(f"nothing of these can be predicted: {', '.join(lost)}; leave them out")
    residual = variances[None] - 2 * np.einsum("sad,ad->sa", w, matrix[d:, :d])
    residual += np.einsum("sad,sad->sa", w @ matrix[:d, :d], w)
    grams = w @ np.swapaxes(w, 1, 2)
    a = len(names)
    cosines = np.abs(grams / (lengths[:, :, None] * lengths[:, None]))
    similarity = (cosines.sum(axis=(1, 2)) - a) / max(1, a * (a - 1))
    return LinearMaps(
        strengths=lambdas,
        weights=w,
        biases=found.mean[None, d:] - w @ found.mean[:d],
        r2=1 - residual / variances[None],
        similarity=similarity,
        gram_error=np.linalg.norm(grams - np.eye(a)[None], axis=(1, 2)) / a,
        gradient=gradient,
        names=tuple(names),
        settings={"penalty": penalty, "targets": kind, "n": found.count},
    )


def _check(
    codes: Values,
    targets: Float[Array | np.ndarray, "_ a"],
    strengths: Sequence[float],
    penalty: str,
    kind: str,
    names: Sequence[str] | None,
) -> list[str]:
    """Returns the attributes' names, or raises an error of all that does not fit."""
    problems = []
    if codes.ndim != 2 or targets.ndim != 2 or codes.shape[0] != targets.shape[0]:
        raise UserError(
            f"codes [n, d] and targets [n, attributes] are needed, got {list(codes.shape)} and "
            f"{list(targets.shape)}"
        )
    a = targets.shape[1]
    if codes.shape[0] < 2 or not codes.shape[1] or not a:
        problems.append("at least 2 codes of 1 number and 1 attribute are needed")
    if not jnp.issubdtype(codes.dtype, jnp.floating):
        problems.append(f"codes must be of a floating type, got {codes.dtype}")
    if names is not None and len(names) != a:
        problems.append(f"{a} names are needed, got {len(names)}")
    if penalty not in PENALTIES:
        problems.append(f"penalty must be {', '.join(PENALTIES)}, got {penalty!r}")
    if kind not in TARGETS:
        problems.append(f"kind must be {', '.join(TARGETS)}, got {kind!r}")
    if not len(strengths) or not all(0 <= s < np.inf for s in strengths):
        problems.append(f"strengths must be finite numbers from 0, got {list(strengths)}")
    if not np.isfinite(np.asarray(targets)).all():
        problems.append("targets hold numbers that are not finite")
    elif kind == "logits" and targets.size and not 0 <= targets.min() <= targets.max() <= 1:
        problems.append("targets must be probabilities in [0, 1] to have logits")
    if problems:
        raise UserError("; ".join(problems))
    return list(names) if names is not None else [f"attribute {i}" for i in range(a)]

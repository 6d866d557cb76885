"""Boundaries between what scores high and low: InterFaceGAN, Shen et al., CVPR 2020."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import ArrayLike, Directions
from jaxlatent.errors import UserError, listed
from jaxlatent.find.scored import Ends, Scored, ends, signs, tabulate
from jaxlatent.find.svm import Loss, check_options, linear_svm
from jaxlatent.generators.layers import PRECISION
from jaxlatent.keys import AnyKey, per_sample

Solver = Literal["auto", "exact", "sklearn"]

SIGN_ANCHOR = "the score grows"
_SAMPLES = 100  # up to which libsvm is faster, by milliseconds, however the classes overlap
_FLAT = 1e-6  # spread of the margins, which are near 1, that stands for a weight of 0


def boundary(
    codes: Float[ArrayLike, "n d"] | Float[ArrayLike, "n L d"],
    scores: ArrayLike,
    key: AnyKey,
    names: Sequence[str] | None = None,
    ratio: float = 0.02,
    invalid: float | None = None,
    loss: Loss = "hinge",
    c: float = 1.0,
    solver: Solver = "auto",
) -> Directions:
    r"""Finds for each attribute the plane between its highest and its lowest scores.

    Trains a linear classifier, $\min \frac12\|w\|^2 + C\sum\ell$, on 70% of the chosen samples and
    tests it on the others. Codes are not scaled. All attributes are solved in one call.

    Args:
        codes: latent codes; with a row for each layer, all rows together are one vector.
        scores: of each code, [n], or [n, a] for several attributes.
        key: decides for each sample which part it falls to: one key, or one for each sample.
        names: of the attributes.
        ratio: share of the samples chosen at each end, in (0, 1], or their number if above 1;
            never more than half of those that have a score.
        invalid: score of samples that have none; may be `nan`.
        loss: "hinge" is the support vector machine; "squared_hinge" and "logistic" are smooth,
            but have another optimum.
        c: weight of the loss.
        solver: of the hinge loss: "exact", the library's own, reaches the optimum;
            "sklearn" is libsvm, faster for few samples; "auto" chooses by their number.

    Returns:
        Unit `vectors` in the attributes' order; no scores. A position is the signed distance to
        the boundary, positive towards higher scores. `parameters` holds for each name: `chosen`,
        samples at each end; `margin`, the distance from the boundary at which the loss begins;
        `validation_accuracy` on the chosen samples that were not learned from;
        `remaining_accuracy` on those not chosen and `whole_accuracy` on all, where scores above
        the middle of their range count as positive (`None` if there are no such samples).

    Raises:
        UserError: if the arguments do not fit, scores are not finite or do not differ, or no
            boundary was found.

    References:
        Shen, Gu, Tang and Zhou, "Interpreting the Latent Space of GANs for Semantic Face
        Editing", CVPR 2020, arXiv:1907.10786.

    Example:
        >>> codes = jax.random.normal(jax.random.key(0), (500, 3))
        >>> found = boundary(codes, codes[:, 1] + 2, jax.random.key(1), ["smile"], ratio=0.2)
        >>> bool(found.vectors[0, 0, 1] > 0.99)
        True
        >>> found.parameters["validation_accuracy"]
        {'smile': 1.0}
    """
    if solver not in get_args(Solver):
        raise UserError(f"solver must be one of {', '.join(get_args(Solver))}, got {solver!r}")
    check_options(loss, c)
    if solver == "sklearn" and loss != "hinge":
        raise UserError(f"scikit-learn solves the hinge loss, not {loss}; use solver='auto'")
    samples = tabulate(codes, scores, names)
    lots = np.asarray(jax.vmap(jax.random.uniform)(per_sample(key, len(samples.codes))))
    problems = ends(samples, lots, ratio, invalid)
    most = max(len(p.train) for p in problems)
    used: str = solver if loss == "hinge" else "newton"
    if used == "auto":
        used = automatic(most)
    rows = np.stack([np.pad(p.train, (0, most - len(p.train))) for p in problems])
    sides = np.stack([np.pad(signs(p.train), (0, most - len(p.train))) for p in problems])
    if used == "sklearn":
        weight, intercept = _libsvm(samples, problems, c)
    else:
        fit = linear_svm(samples.codes, rows, sides, loss, c, samples.names)
        weight, intercept = fit.weight, fit.intercept
    products = np.asarray(_products(samples.codes, weight.astype(np.float32)))
    spread = [np.ptp(products[p.train, i]) for i, p in enumerate(problems)]
    flat = [name for name, s in zip(samples.names, spread, strict=True) if not s > _FLAT]
    if flat:
        raise UserError(f"no direction tells the ends apart of {listed(flat)}; is c too small?")
    lengths = np.linalg.norm(weight, axis=1)
    reports = [
        _report(one, scored, product + b) | {"margin": 1 / float(length)}
        for one, scored, product, b, length in zip(
            problems, samples.scores.T, products.T, intercept, lengths, strict=True
        )
    ]
    return Directions.of(
        jnp.asarray((weight / lengths[:, None]).reshape(-1, *samples.row_shape), jnp.float32),
        names=samples.names,
        intercept=jnp.asarray(intercept / lengths, jnp.float32),
        method="boundary",
        sign_anchor=SIGN_ANCHOR,
        parameters={
            "ratio": ratio,
            "loss": loss,
            "c": c,
            "solver": used,
        }
        | {
            what: dict(zip(samples.names, (r[what] for r in reports), strict=True))
            for what in reports[0]
        },
    )


@jax.jit
def _products(codes: Float[Array, "n e"], weight: Float[Array, "a e"]) -> Float[Array, "n a"]:
    return jnp.matmul(codes, weight.T, precision=PRECISION)


def automatic(samples: int) -> Literal["exact", "sklearn"]:
    """Returns the solver that is chosen for so many training samples."""
    return "exact" if samples > _SAMPLES else "sklearn"


def _libsvm(samples: Scored, problems: list[Ends], c: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights [a, e] and intercepts [a] of scikit-learn's support vector machine."""
    from sklearn.svm import SVC

    codes = np.asarray(samples.codes)
    fits = [SVC(kernel="linear", C=c).fit(codes[p.train], signs(p.train)) for p in problems]
    weight = np.concatenate([fit.coef_ for fit in fits])
    return weight, np.concatenate([fit.intercept_ for fit in fits])


def _report(one: Ends, scores: np.ndarray, margins: np.ndarray) -> dict[str, Any]:
    """Returns an attribute's accuracies by the names they have in `parameters`."""

    def accuracy(rows: np.ndarray, positive: np.ndarray) -> float | None:
        return float(np.mean((margins[rows] > 0) == positive)) if len(rows) else None

    whole = np.concatenate([one.train, one.held_out, one.rest])
    return {
        "chosen": (len(one.train) + len(one.held_out)) // 2,
        "validation_accuracy": accuracy(one.held_out, signs(one.held_out) > 0),
        "remaining_accuracy": accuracy(one.rest, scores[one.rest] > one.threshold),
        "whole_accuracy": accuracy(whole, scores[whole] > one.threshold),
    }

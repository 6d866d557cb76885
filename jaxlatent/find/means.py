"""Differences of means: Radford et al., ICLR 2016, arXiv:1511.06434; and from few examples."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlatent.directions import ArrayLike, Directions
from jaxlatent.errors import UserError, listed
from jaxlatent.find.scored import flattened, tabulate

SIGN_ANCHOR = "from the negative examples to the positive ones"
_DISTANCE = 2.0  # of positive from negative examples, in standard deviations of their scores
_CHUNK = 1 << 15  # codes whose sum is taken at once, in float64


def difference_of_means(
    codes: Float[ArrayLike, "n d"] | Float[ArrayLike, "n L d"],
    scores: ArrayLike,
    names: Sequence[str] | None = None,
    threshold: float = 0.5,
) -> Directions:
    r"""Points from the mean of the codes without an attribute to the mean of those with it.

    $v \propto \bar x_+ - \bar x_-$, for all attributes in one pass. Where the codes' covariance
    $\Sigma$ is not a multiple of the identity, this is $\Sigma$ times the normal of the best
    boundary: it moves what goes with the attribute in the codes, too.

    Args:
        codes: latent codes; with a row for each layer, all rows together are one vector.
        scores: labels or scores of each code, [n], or [n, a] for several attributes.
        names: of the attributes.
        threshold: scores above it are positive; 0.5 fits labels and probabilities, 0 logits.

    Returns:
        Unit `vectors` in the attributes' order; no scores. Positions are measured from midway
        between the means, in units of their distance: an edit by 1 adds the difference.

    Raises:
        UserError: if the arguments do not fit, a score is not a number, a class is empty, or the
            means are equal.

    References:
        Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep
        Convolutional Generative Adversarial Networks", ICLR 2016, arXiv:1511.06434.

    Example:
        >>> codes = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [2.0, 3.0]], np.float32)
        >>> found = difference_of_means(codes, np.array([False, True, False, True]))
        >>> found.vectors.tolist(), found.scale.tolist(), found.intercept.tolist()
        ([[[1.0, 0.0]]], [2.0], [-1.0])
    """
    samples = tabulate(codes, scores, names)
    if np.isnan(samples.scores.astype(np.float64)).any():
        raise UserError("scores hold what is not a number; leave those samples out")
    positive = samples.scores > threshold
    counts = positive.sum(axis=0)
    empty = [n for n, c in zip(samples.names, counts, strict=True) if c in (0, len(positive))]
    if empty:
        raise UserError(f"all scores are on one side of {threshold:g} for {listed(empty)}")
    high, total = np.zeros((len(counts), samples.codes.shape[1])), 0.0
    for start in range(0, len(positive), _CHUNK):
        part = slice(start, start + _CHUNK)
        with jax.enable_x64(True):
            sums = jax.device_get(_sums(samples.codes[part], positive[part]))
        high, total = high + sums[0], total + sums[1]
    means = high / counts[:, None], (total - high) / (len(positive) - counts)[:, None]
    difference = means[0] - means[1]
    return _directions(
        difference,
        difference,
        (means[0] + means[1]) / 2,
        samples.row_shape,
        samples.names,
        "difference_of_means",
        {
            "threshold": threshold,
            "positive": dict(zip(samples.names, counts.tolist(), strict=True)),
            "samples": len(positive),
        },
    )


@jax.jit
def _sums(
    codes: Float[Array, "n e"], positive: Bool[Array, "n a"]
) -> tuple[Float[Array, "a e"], Float[Array, " e"]]:
    codes = codes.astype(jnp.float64)
    return positive.T.astype(jnp.float64) @ codes, jnp.sum(codes, axis=0)


def vector_arithmetic(
    positive: Float[ArrayLike, "p d"] | Float[ArrayLike, "p L d"],
    negative: Float[ArrayLike, "q d"] | Float[ArrayLike, "q L d"],
    name: str = "difference",
) -> Directions:
    """Turns two sets of codes into the direction that leads from one's mean to the other's.

    An edit of a code `c` by 1 gives `c + mean(positive) - mean(negative)`. A few examples a side
    are usual: the mean of three codes already renders stably where a single one does not.

    Args:
        positive: codes with an attribute.
        negative: codes without it.
        name: of the direction.

    Returns:
        One unit vector; its `scale` is the distance of the means, and positions are measured
        from midway between them.

    Raises:
        UserError: if the codes do not agree in shape, or the means are equal.

    References:
        Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep
        Convolutional Generative Adversarial Networks", ICLR 2016, arXiv:1511.06434.

    Example:
        >>> found = vector_arithmetic(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0]]), "glasses")
        >>> found.scale.tolist()
        [5.0]
    """
    examples, row_shape = _examples(positive, negative)
    means = [e.mean(axis=0)[None] for e in examples]
    difference = means[0] - means[1]
    middle = (means[0] + means[1]) / 2
    counts = {"positive": len(examples[0]), "negative": len(examples[1])}
    return _directions(
        difference, difference, middle, row_shape, (name,), "vector_arithmetic", counts
    )


def few_shot(
    positive: Float[ArrayLike, "p d"] | Float[ArrayLike, "p L d"],
    negative: Float[ArrayLike, "q d"] | Float[ArrayLike, "q L d"],
    population: Float[ArrayLike, "n d"] | Float[ArrayLike, "n L d"] | None = None,
    name: str = "few shot",
) -> Directions:
    r"""Finds the boundary's normal from a handful of chosen codes, with a ridge that fits few.

    A linear discriminant $v \propto (\Sigma + \lambda I)^{-1} (\bar x_+ - \bar x_-)$ undoes the
    covariance of the codes, so that what merely goes with the attribute is not moved; but the
    inverse also magnifies the sampling error of the means where the codes vary little. The ridge
    weighs the two. For a score $\beta \cdot x$ the difference of means is $s\Sigma\beta$ with an
    error of covariance $(1/p + 1/q)\Sigma$; if no $\beta$ is likelier than another of its length,
    its most probable value is the above with $\lambda = (1/p + 1/q)\,tr\,\Sigma / s^2$. The sets'
    distance s is taken as 2 standard deviations of the score, that of clear examples. So few
    examples give nearly the difference of means, many the discriminant, and nothing is tuned.

    Args:
        positive: codes with an attribute, one or more.
        negative: codes without it, one or more.
        population: any codes, unlabelled, to take the covariance from; `None` takes it from the
            examples, within each set.
        name: of the direction.

    Returns:
        One unit vector; an edit by 1 leads as far along it as the means are apart. Positions are
        measured from midway between the means.

    Raises:
        UserError: if the codes do not agree in shape, or the means are equal.

    References:
        Friedman, "Regularized Discriminant Analysis", JASA 84, 1989, for the ridge.

    Example:
        >>> codes = jax.random.normal(jax.random.key(0), (400, 2)) * jnp.array([[1.0, 3.0]])
        >>> codes = codes @ jnp.array([[1.0, 0.0], [1.0, 1.0]])  # what is wanted drags the first
        >>> found = few_shot(codes[codes[:, 1] > 0], codes[codes[:, 1] < 0])
        >>> abs(float(found.vectors[0, 0, 0])) < 0.1
        True
    """
    examples, row_shape = _examples(positive, negative)
    p, q = (len(e) for e in examples)
    means = [e.mean(axis=0) for e in examples]
    spread = np.concatenate([e - m for e, m in zip(examples, means, strict=True)])
    if population is not None:
        flat, shape = flattened("population", population)
        if shape != row_shape:
            raise UserError(f"population has codes {list(shape)}, the examples {list(row_shape)}")
        spread = np.asarray(flat, np.float64)
        spread = spread - spread.mean(axis=0)
    difference = means[0] - means[1]
    with jax.enable_x64(True):
        ridge = (1 / p + 1 / q) * np.sum(spread**2) / _DISTANCE**2
        normal = jax.device_get(_discriminant(spread, difference, ridge)) if ridge else difference
    return _directions(
        normal[None],
        difference[None],
        (means[0] + means[1])[None] / 2,
        row_shape,
        (name,),
        "few_shot",
        {"positive": p, "negative": q, "population": 0 if population is None else len(spread)},
    )


@jax.jit
def _discriminant(
    spread: Float[Array, "n e"], difference: Float[Array, " e"], ridge: Float[Array, ""]
) -> Float[Array, " e"]:
    """Returns `(spread' spread + ridge)^-1 difference`, by the smaller of two equal systems."""
    n, e = spread.shape
    if n >= e:
        return jnp.linalg.solve(spread.T @ spread + ridge * jnp.eye(e), difference)
    inner = spread @ spread.T + ridge * jnp.eye(n)
    return difference - spread.T @ jnp.linalg.solve(inner, spread @ difference)


def _examples(
    positive: ArrayLike, negative: ArrayLike
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[int, int]]:
    """Returns both sets with all rows of a code in one, in float64."""
    (high, shape), (low, other) = flattened("positive", positive), flattened("negative", negative)
    if shape != other:
        raise UserError(f"positive has codes {list(shape)}, negative {list(other)}")
    return (np.asarray(high, np.float64), np.asarray(low, np.float64)), shape


def _directions(
    normals: np.ndarray,
    differences: np.ndarray,
    middles: np.ndarray,
    row_shape: tuple[int, int],
    names: tuple[str, ...],
    method: str,
    parameters: dict,
) -> Directions:
    """Returns the normals in units of the distance between the means along them."""
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    equal = [n for n, length in zip(names, lengths, strict=True) if not length > 0]
    if equal:
        raise UserError(f"the means are equal, which gives no direction, for {listed(equal)}")
    unit = normals / lengths
    return Directions.of(
        jnp.asarray(unit.reshape(-1, *row_shape), jnp.float32),
        names=names,
        scale=jnp.asarray(np.sum(unit * differences, axis=1), jnp.float32),
        intercept=jnp.asarray(-np.sum(unit * middles, axis=1), jnp.float32),
        method=method,
        sign_anchor=SIGN_ANCHOR,
        parameters=parameters,
    )

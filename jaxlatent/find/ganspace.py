"""Principal components of codes or activations: Härkönen et al., NeurIPS 2020, arXiv:2004.02546."""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.covariance import Rows, chunks, covariance, peeked
from jaxlatent.find.latents import Batch, feature_count, sample
from jaxlatent.find.principal import principal
from jaxlatent.find.vectors import SIGN_ANCHOR, anchor_sign, check_count
from jaxlatent.generators import Generator, Labels
from jaxlatent.keys import AnyKey
from jaxlatent.memory import check_host_memory


def ganspace(codes: Rows | Iterable[Rows], k: int) -> Directions:
    r"""Finds the `k` directions along which codes vary most, by exact principal components.

    Solves $\max_{\|v\|=1} v^\top C v$ with the codes' covariance $C$, which is summed up in one
    pass over the batches and equals that of all codes at once. (The original approximates it by
    an incremental decomposition.) An edit by 1 moves by one standard deviation.

    Args:
        codes: one array [n, d], or anything that yields such arrays; for the w of a generator
            `(b.latents for b in sample(generator, key, n, "w"))`.
        k: number of directions, `1 <= k <= d`.

    Returns:
        Unit `vectors` [k, 1, d]; `scores` are the explained variances, largest first; `mean` is
        the codes' mean, `scale` their standard deviations along the directions;
        `parameters["variance_ratio"]` is each one's share of the whole variance.

    Raises:
        UserError: if `k` is out of range, or the codes do not vary in `k` directions.

    References:
        Härkönen, Hertzmann, Lehtinen and Paris, "GANSpace: Discovering Interpretable GAN
        Controls", NeurIPS 2020, arXiv:2004.02546.

    Example:
        >>> directions = ganspace(jnp.array([[3.0, 1.0], [-3.0, 1.0], [0.0, 2.0], [0.0, 0.0]]), 1)
        >>> directions.vectors[0, 0].tolist(), directions.mean[0].tolist()
        ([1.0, 0.0], [0.0, 1.0])
        >>> directions.scores.tolist(), round(directions.parameters["variance_ratio"][0], 6)
        ([6.0], 0.9)
    """
    width, batches = peeked(chunks(codes))
    check_count(k, width)
    found = covariance(batches)
    variances, vectors = principal(found.matrix, k)
    settings = {"k": int(k), "n": found.count}
    share = variances / np.trace(found.matrix)
    return _directions(
        vectors[:, None], variances, found.mean[None], variances**0.5, share, settings
    )


def ganspace_activations(
    generator: Generator,
    key: AnyKey,
    n: int,
    k: int,
    *,
    block: int = 0,
    space: str | None = None,
    label: int | Labels | None = None,
    budget: int | None = None,
) -> Directions:
    r"""Finds the latent directions that best follow the principal components of activations.

    With the activations' components $v_i$, variances $\sigma_i^2$ and coordinates
    $x_i = v_i^\top (y - \bar y) / \sigma_i$, the latent vectors are regressed on the coordinates,
    $\min_M \sum \|z - \bar z - M^\top x\|^2$. Over the same samples the coordinates are
    uncorrelated with variance 1, so the solution is $M_i = v_i^\top C_{yz} / \sigma_i$, read off
    the joint covariance. The original then scales its rows to unit length; here that length is
    kept as `scale`: an edit by 1 moves by $M_i$, what one standard deviation of the component
    amounts to in the latent space. Of fewer samples than activations, the components are read off
    the samples' products with each other, which are fewer then; both ways are exact.

    Args:
        generator: the generator.
        key: for the samples: one key, folded with the sample's index, or one for each.
        n: number of samples; many more than `k`.
        k: number of components.
        block: whose activations are decomposed, as of `Generator.features`. Their number times
            itself, or times `n` if that is smaller, must fit into memory.
        space: what is regressed: "z" or "w"; `None` for the one that the synthesis reads. In a
            generator that shares z out to its layers, z becomes "z+", so that edits can choose
            layers.
        label: a class for all samples, or labels for each; of a conditional generator.
        budget: bytes of working memory of the samples; results do not depend on it.

    Returns:
        Unit `vectors` [k, 1, d], or [k, L, d] where each layer reads its own part of z; `scores`
        are the activations' variances, largest first. Bound to the generator.

    Raises:
        UserError: if an argument does not fit, the matrices do not fit into memory, or the
            activations do not vary in `k` directions that the latent vectors follow.

    References:
        Härkönen, Hertzmann, Lehtinen and Paris, "GANSpace: Discovering Interpretable GAN
        Controls", NeurIPS 2020, arXiv:2004.02546, section 2.2.

    Example:
        >>> import jax
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> ganspace_activations(generator, jax.random.key(0), 100, 2)
        Directions(2 by ganspace in z, [1, 2] each: ganspace 0, ganspace 1)
    """
    layered = "z+" in generator.spaces
    space = space or ("w" if "w" in generator.spaces else "z")
    samples = sample(generator, key, n, space, block=block, label=label, budget=budget)
    features = feature_count(generator, block)
    check_count(k, features)
    latent = generator.spaces[space][1]
    few = n < features
    size = n * (16 * n + 12 * (latent + features)) if few else 3 * 8 * (latent + features) ** 2
    check_host_memory(
        f"components of {features} features of {n} samples",
        size,
        advice=f"take fewer samples, or a block of fewer features than {block}",
    )
    solve = _of_few if few else _of_many
    variances, moves, center, share = solve(samples, latent, k)
    lengths = np.linalg.norm(moves, axis=1)
    if not lengths.all():
        raise UserError("the latent vectors do not follow the activations' components")
    vectors = np.asarray(anchor_sign(jnp.asarray(moves / lengths[:, None], jnp.float32)))
    mean = center[None]
    settings = {"k": int(k), "block": int(block), "features": features, "n": int(n)}
    if layered:
        rows = np.asarray(generator.broadcast(jnp.asarray(vectors)))
        deep = rows.shape[2] == latent  # every layer reads all of z
        center = np.asarray(generator.broadcast(jnp.asarray(mean, jnp.float32)))[0]
        vectors, mean = (rows[:, :1], center[:1]) if deep else (rows, center)
    else:
        vectors = vectors[:, None]
    directions = _directions(vectors, variances, mean, lengths, share, settings)
    return directions.bind(generator, space="z+" if layered and space == "z" else space)


def _of_many(samples: Iterable[Batch], latent: int, k: int) -> tuple[np.ndarray, ...]:
    """Returns variances, moves of the latents, their mean and shares, by the joint covariance."""
    found = covariance(jnp.concatenate([b.latents, b.features], axis=1) for b in samples)
    matrix = np.ascontiguousarray(found.matrix[latent:, latent:])
    variances, components = principal(matrix, k)
    moves = components @ found.matrix[latent:, :latent] / np.sqrt(variances)[:, None]
    return variances, moves, found.mean[:latent], variances / np.trace(matrix)


def _of_few(samples: Iterable[Batch], latent: int, k: int) -> tuple[np.ndarray, ...]:
    r"""Returns what `_of_many` does, by the products of the samples' activations.

    With $YY^\top = U \Lambda U^\top$ of the centred samples, $v_i = Y^\top u_i / \sqrt{\lambda_i}$
    and so $M_i = u_i^\top Z / \sqrt{n - 1}$.
    """
    batches = [np.concatenate([b.latents, b.features], axis=1) for b in samples]
    rows = np.concatenate(batches, dtype=np.float64)
    if len(rows) < 2 or not np.isfinite(rows).all():
        raise UserError(f"at least 2 samples are needed, all finite, got {len(rows)}")
    mean = rows.mean(axis=0)
    rows -= mean[None]
    z, y = rows[:, :latent], rows[:, latent:]
    products = y @ y.T / (len(rows) - 1)
    if k > len(rows) - 1:
        raise UserError(f"k must be at most {len(rows) - 1}, one less than the samples; got {k}")
    variances, units = principal(products, k)
    return (
        variances,
        units @ z / (len(rows) - 1) ** 0.5,
        mean[:latent],
        variances / np.trace(products),
    )


def _directions(
    vectors: Float[np.ndarray, "k m d"],
    variances: Float[np.ndarray, " k"],
    mean: Float[np.ndarray, "m2 d"],
    scale: Float[np.ndarray, " k"],
    share: Float[np.ndarray, " k"],
    settings: dict[str, int],
) -> Directions:
    return Directions.of(
        jnp.asarray(vectors, jnp.float32),
        jnp.asarray(variances, jnp.float32),
        mean=jnp.asarray(mean, jnp.float32),
        scale=jnp.asarray(scale, jnp.float32),
        method="ganspace",
        sign_anchor=SIGN_ANCHOR,
        parameters={**settings, "variance_ratio": share.tolist()},
    )

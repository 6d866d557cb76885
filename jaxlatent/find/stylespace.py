"""Ranking of style channels by an attribute (Wu et al., arXiv:2011.12799; arXiv:2103.17249)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.jacobian import check_count
from jaxlatent.find.training import Samples, Scorer
from jaxlatent.generators import StyleSpace

SIGN_ANCHOR = "the attribute grows"


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """Mean and standard deviation of every style channel.

    Attributes:
        count: number of codes.
        mean: of each channel.
        deviation: standard deviation of each channel.
    """

    count: int
    mean: Float[np.ndarray, " s"]
    deviation: Float[np.ndarray, " s"]


def channel_statistics(styles: Any) -> ChannelStatistics:
    """Measures the style channels over any number of codes, in one pass and in float64.

    Args:
        styles: codes in S, an array [n, 1, channels] or batches of such, one after the other.

    Raises:
        UserError: if there are fewer than two codes, or they are not styles.

    Example:
        >>> channel_statistics([np.zeros((1, 1, 3)), np.full((1, 1, 3), 4.0)]).deviation.tolist()
        [2.0, 2.0, 2.0]
    """
    batches: Iterable[Any] = [styles] if hasattr(styles, "ndim") else styles
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for batch in batches:
        if batch.ndim != 3 or batch.shape[1] != 1 or (count and batch.shape[2] != mean.size):
            raise UserError(
                f"styles must be [n, 1, channels], got {list(batch.shape)}; "
                "StyleSpace(generator).to_styles(codes) makes them"
            )
        rows = np.asarray(batch, np.float64)[:, 0]
        n = len(rows)
        if not n:
            continue
        own = rows.mean(axis=0)
        away, total = own - mean, count + n
        squares = squares + np.square(rows - own).sum(axis=0) + np.square(away) * count * n / total
        mean, count = mean + away * n / total, total
    if count < 2:
        raise UserError(f"at least two codes are needed for statistics, got {count}")
    return ChannelStatistics(count, mean, np.sqrt(squares / count))


def stylespace(
    generator: StyleSpace,
    positives: Float[Any, "p 1 s"],
    statistics: ChannelStatistics,
    k: int,
) -> Directions:
    r"""Ranks style channels by how alike they are, and how unusual, in examples of an attribute.

    The relevance of a channel is $|\bar\delta| / \mathrm{std}(\delta)$, with
    $\delta = (s - \mu) / \sigma$ over the examples and $\mu, \sigma$ of the population. Ten to
    thirty examples do.

    Args:
        generator: the style space.
        positives: styles of examples that have the attribute, two or more.
        statistics: of the channels over the population.
        k: number of channels.

    Returns:
        One channel each, signed towards the examples; `scores` are relevances, `mean` and `scale`
        the channel's mean and standard deviation, so that positions count in those.

    Raises:
        UserError: if `k` is out of range or the examples do not fit.

    References:
        Wu, Lischinski and Shechtman, "StyleSpace Analysis: Disentangled Controls for StyleGAN
        Image Generation", CVPR 2021, arXiv:2011.12799.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((4,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> view = StyleSpace(StyleGAN2(config, rngs=nnx.Rngs(0)))
        >>> styles = view.map(view.sample_z(jax.random.key(0), 100))[:, None]
        >>> positives = styles[:9].at[:, 0, 3].set(10)
        >>> stylespace(view, positives, channel_statistics(styles), 2).names[0]
        '0.conv1.3'
    """
    generator.check_codes(positives)
    _check(generator, statistics, k)
    if len(positives) < 2:
        raise UserError(f"two or more examples are needed, got {len(positives)}")
    spread = np.where(statistics.deviation > 0, statistics.deviation, 1)
    rows = (np.asarray(positives, np.float64)[:, 0] - statistics.mean) / spread
    away, own = rows.mean(axis=0), rows.std(axis=0)
    own = np.maximum(own, 1e-6)  # examples all alike in a channel would be infinitely relevant
    away = np.where(statistics.deviation > 0, away, 0)
    parameters = {"k": k, "examples": len(positives), "population": statistics.count}
    return _axes(generator, np.abs(away) / own, away, statistics, k, "stylespace", parameters)


def _check(generator: StyleSpace, statistics: ChannelStatistics, k: int) -> None:
    width = generator.code_dim
    check_count(k, width)
    if statistics.mean.shape != (width,):
        raise UserError(
            f"statistics of {width} channels are needed, got {list(statistics.mean.shape)}"
        )


def _axes(
    generator: StyleSpace,
    ranks: Float[np.ndarray, " s"],
    signs: Float[np.ndarray, " s"],
    statistics: ChannelStatistics,
    k: int,
    method: str,
    parameters: dict[str, Any],
) -> Directions:
    """Returns the channels of highest rank as directions."""
    chosen = np.argsort(-ranks, kind="stable")[:k]
    vectors = np.zeros((k, 1, len(ranks)), np.float32)
    vectors[np.arange(k), 0, chosen] = np.where(signs[chosen] < 0, -1, 1)
    names, deviation = generator.channels, statistics.deviation[chosen]
    return Directions.of(
        vectors,
        ranks[chosen].astype(np.float32),
        names=[names[i] for i in chosen],
        mean=statistics.mean[None].astype(np.float32),
        scale=np.where(deviation > 0, deviation, 1).astype(np.float32),
        method=method,
        sign_anchor=SIGN_ANCHOR,
        parameters=parameters,
    ).bind(generator, space="s")


def channel_effects(
    generator: StyleSpace,
    codes: Float[Any, "n 1 s"],
    scorer: Scorer,
    statistics: ChannelStatistics,
    *,
    amount: float = 5.0,
    channels: Sequence[int] | None = None,
    chunk: int = 32,
) -> Float[np.ndarray, " s"]:
    """Measures by how much a score grows where a channel grows by a standard deviation.

    Renders every code with every channel moved by `amount` standard deviations up, and down; half
    of the difference, over `amount`, is averaged over the codes.

    Args:
        generator: the style space.
        codes: styles to start from; a hundred do.
        scorer: function of images to one number for each; it need not be in JAX.
        statistics: of the channels.
        amount: how far to move, in standard deviations.
        channels: the channels to try; `None` for all. Others have an effect of 0.
        chunk: images in one step; results do not depend on it.

    Raises:
        UserError: if something does not fit, or the scorer does not return one number each.

    References:
        Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
        arXiv:2103.17249 (its global directions).

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((4,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> view = StyleSpace(StyleGAN2(config, rngs=nnx.Rngs(0)))
        >>> styles = view.map(view.sample_z(jax.random.key(0), 4))[:, None]
        >>> red = lambda images: images[..., 0].mean(axis=(1, 2))
        >>> channel_effects(view, styles, red, channel_statistics(styles), channels=[1, 2]).shape
        (8,)
    """
    samples = Samples.of(generator, codes)
    width, n = generator.code_dim, samples.codes.shape[0]
    chosen = np.arange(width) if channels is None else np.unique(np.asarray(channels, int))
    _check(generator, statistics, max(1, len(chosen)))
    problems = []
    if not 0 < amount < float("inf"):
        problems.append(f"amount must be positive, got {amount}")
    if chunk < 1:
        problems.append(f"chunk must be at least 1, got {chunk}")
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= width:
        problems.append(f"channels must be in 0 to {width - 1}, got {chosen.tolist()[:5]}")
    if problems:
        raise UserError("; ".join(problems))
    steps = jnp.asarray(amount * statistics.deviation, jnp.float32)
    total = 2 * n * len(chosen)
    scores = np.empty(total)
    for start in range(0, total, chunk):
        grid = np.minimum(np.arange(start, start + chunk), total - 1)
        sample, channel, sign = grid // 2 % n, chosen[grid // 2 // n], 2 * (grid % 2) - 1
        images = _moved(samples, jnp.asarray(sample), jnp.asarray(channel),
                        jnp.asarray(sign, jnp.float32)[:, None], steps)  # fmt: skip
        part = np.asarray(scorer(images))
        if part.shape != (chunk,):
            raise UserError(
                f"the scorer must return one number for each image; for {chunk} images it "
                f"returned the shape {list(part.shape)}"
            )
        scores[start : start + chunk] = part[: total - start]
    pairs = scores.reshape(len(chosen), n, 2)
    effects = np.zeros(width)
    effects[chosen] = (pairs[..., 1] - pairs[..., 0]).mean(axis=1) / (2 * amount)
    return effects


@jax.jit
def _moved(
    samples: Samples,
    index: Int[Array, " b"],
    channel: Int[Array, " b"],
    sign: Float[Array, "b 1"],
    steps: Float[Array, " s"],
) -> Float[Array, "b h w c"]:
    """Renders codes with one channel each moved up or down."""
    codes, _ = samples.at(index)
    one = jax.nn.one_hot(channel, steps.shape[0], dtype=codes.dtype)
    return samples.render(codes + (sign * one * steps[None])[:, None])


def stylespace_by_effect(
    generator: StyleSpace,
    effects: Float[np.ndarray, " s"],
    statistics: ChannelStatistics,
    k: int,
) -> Directions:
    """Ranks style channels by what `channel_effects` measured.

    Args:
        generator: the style space.
        effects: of every channel.
        statistics: of the channels.
        k: number of channels.

    Returns:
        One channel each, signed so that the score grows; `scores` are how much it grows for a
        standard deviation of the channel, which is the unit.

    Raises:
        UserError: if `k` is out of range or the effects do not fit.

    References:
        As of `channel_effects`.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((2,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> view = StyleSpace(StyleGAN2(config, rngs=nnx.Rngs(0)))
        >>> statistics = ChannelStatistics(9, np.zeros(4), np.ones(4))
        >>> stylespace_by_effect(view, np.array([0.1, 0, -3, 0]), statistics, 1).names
        ('0.torgb.0',)
    """
    _check(generator, statistics, k)
    _check_effects(generator, effects)
    parameters = {"k": k, "population": statistics.count}
    return _axes(
        generator, np.abs(effects), effects, statistics, k, "stylespace_by_effect", parameters
    )


def styleclip(
    generator: StyleSpace,
    effects: Float[np.ndarray, " s"],
    statistics: ChannelStatistics,
    threshold: float,
    name: str = "score",
) -> Directions:
    """Combines all channels that have an effect into one global direction, as StyleCLIP does.

    A channel's part is its effect, 0 below the threshold, over the largest, times the channel's
    standard deviation. An edit by 1 moves the strongest channel by its standard deviation.

    Args:
        generator: the style space.
        effects: of every channel, by `channel_effects`; for a text, of a scorer that returns the
            product of the image's and the text's embeddings.
        statistics: of the channels.
        threshold: smallest effect that counts, in the score's units a standard deviation; larger
            ones move fewer channels.
        name: of what the score measures.

    Returns:
        One direction; its score is the sum of squares of the effects that count.

    Raises:
        UserError: if the effects do not fit, or none reaches the threshold.

    References:
        As of `channel_effects`.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((2,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> view = StyleSpace(StyleGAN2(config, rngs=nnx.Rngs(0)))
        >>> statistics = ChannelStatistics(9, np.zeros(4), np.ones(4))
        >>> found = styleclip(view, np.array([0.1, 4.0, -3.0, 0.0]), statistics, 0.5)
        >>> [round(float(x), 3) for x in found.vectors[0, 0]], found.scale.tolist()
        ([0.0, 0.8, -0.6, 0.0], [1.25])
    """
    _check(generator, statistics, 1)
    _check_effects(generator, effects)
    kept = np.where(np.abs(effects) >= threshold, effects, 0)
    parts = kept * statistics.deviation
    if not np.any(parts):
        raise UserError(
            f"no effect reaches the threshold {threshold}; the largest is "
            f"{np.abs(effects).max():.4g}"
        )
    walk = parts / np.abs(kept).max()
    length = np.linalg.norm(walk)
    return Directions.of(
        (walk / length)[None, None].astype(np.float32),
        np.square(kept).sum(keepdims=True).astype(np.float32),
        names=[name],
        mean=statistics.mean[None].astype(np.float32),
        scale=np.array([length], np.float32),
        method="styleclip",
        sign_anchor=SIGN_ANCHOR,
        parameters={"threshold": threshold, "channels": int(np.count_nonzero(parts))},
    ).bind(generator, space="s")


def _check_effects(generator: StyleSpace, effects: Float[np.ndarray, " s"]) -> None:
    if effects.shape != (generator.code_dim,) or not np.isfinite(effects).all():
        raise UserError(
            f"{generator.code_dim} finite effects are needed, one for each channel, got "
            f"{list(effects.shape)}"
        )

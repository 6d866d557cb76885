"""Style channels as directions (Wu et al., arXiv:2011.12799; arXiv:2103.17249)."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.channels import ChannelStatistics, check_statistics, chosen_channels
from jaxlatent.find.vectors import check_count
from jaxlatent.generators import StyleSpace

SIGN_ANCHOR = "the attribute grows"


def stylespace(
    generator: StyleSpace,
    positives: Float[Any, "p 1 s"],
    statistics: ChannelStatistics,
    k: int,
    *,
    channels: Sequence[int] | None = None,
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
        channels: those to rank; `None` for those of feature maps, without those of ToRGB, which
            colour the whole picture.

    Returns:
        One channel each, signed towards the examples; `scores` are relevances, `mean` and `scale`
        the channel's mean and standard deviation, so that positions count in those.

    Raises:
        UserError: if `k` or a channel is out of range or the examples do not fit.

    References:
        Wu, Lischinski and Shechtman, "StyleSpace Analysis: Disentangled Controls for StyleGAN
        Image Generation", CVPR 2021, arXiv:2011.12799.

    Example:
        >>> import jax
        >>> from flax import nnx
        >>> from jaxlatent.find import channel_statistics
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((4,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> view = StyleSpace(StyleGAN2(config, rngs=nnx.Rngs(0)))
        >>> styles = view.map(view.sample_z(jax.random.key(0), 100))[:, None]
        >>> positives = styles[:9].at[:, 0, 3].set(10)
        >>> stylespace(view, positives, channel_statistics(styles), 2).names[0]
        '0.conv1.3'
    """
    generator.check_codes(jnp.asarray(positives))
    chosen = chosen_channels(generator, channels)
    check_count(k, len(chosen))
    check_statistics(generator, statistics)
    if not np.isfinite(np.asarray(positives)).all():
        raise UserError("examples hold numbers that are not finite")
    if len(positives) < 2:
        raise UserError(f"two or more examples are needed, got {len(positives)}")
    spread = np.where(statistics.deviation > 0, statistics.deviation, 1)
    rows = (np.asarray(positives, np.float64)[:, 0] - statistics.mean) / spread
    away, own = rows.mean(axis=0), rows.std(axis=0)
    own = np.maximum(own, 1e-6)  # examples all alike in a channel would be infinitely relevant
    away = np.where(statistics.deviation > 0, away, 0)
    parameters = {"k": k, "examples": len(positives), "population": statistics.count}
    relevance = np.full(len(away), -1.0)
    relevance[chosen] = np.abs(away[chosen]) / own[chosen]
    return _axes(generator, relevance, away, statistics, k, "stylespace", parameters)


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
    check_count(k, generator.code_dim)
    check_statistics(generator, statistics)
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
        >>> (found.vectors[0, 0] * found.scale).tolist(), found.scale.tolist()
        ([0.0, 1.0, -0.75, 0.0], [1.25])
    """
    check_statistics(generator, statistics)
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


def _check_effects(generator: StyleSpace, effects: Float[np.ndarray, " s"]) -> None:
    if effects.shape != (generator.code_dim,) or not np.isfinite(effects).all():
        raise UserError(
            f"{generator.code_dim} finite effects are needed, one for each channel, got "
            f"{list(effects.shape)}"
        )

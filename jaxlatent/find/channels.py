"""Style channels measured: how they vary, and what they do to a score (arXiv:2103.17249)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples, Scorer
from jaxlatent.generators import StyleSpace


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


def check_statistics(generator: StyleSpace, statistics: ChannelStatistics) -> None:
    """Raises `UserError` unless the statistics are those of the generator's channels."""
    width = generator.code_dim
    if statistics.mean.shape != (width,):
        raise UserError(
            f"statistics of {width} channels are needed, got {list(statistics.mean.shape)}"
        )


def chosen_channels(generator: StyleSpace, channels: Sequence[int] | None) -> Int[np.ndarray, " c"]:
    """Returns the numbers of channels in order, each once; by default those of feature maps.

    Raises:
        UserError: if there is none, or one that the generator has not.
    """
    width = generator.code_dim
    chosen = np.unique(np.asarray(generator.feature_channels if channels is None else channels))
    if not len(chosen) or chosen.dtype.kind not in "iu" or chosen[0] < 0 or chosen[-1] >= width:
        raise UserError(f"channels must be in 0 to {width - 1}, got {chosen.tolist()[:5]}")
    return chosen


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
        channels: the channels to try; `None` for those of feature maps, as in the paper, without
            those of ToRGB. Others have an effect of 0.
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
    check_statistics(generator, statistics)
    problems = []
    if not 0 < amount < float("inf"):
        problems.append(f"amount must be positive, got {amount}")
    if chunk < 1:
        problems.append(f"chunk must be at least 1, got {chunk}")
    try:
        chosen = chosen_channels(generator, channels)
    except UserError as error:
        problems.append(str(error))
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

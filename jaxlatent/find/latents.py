"""Latent codes and activations of a generator by the batch, each sample from a key of its own."""

import operator
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.base import class_weights
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.memory import chunk_size

_LATENTS_AT_ONCE = 2048  # which fit a cache while they are mapped


class Batch(NamedTuple):
    """Some samples.

    Attributes:
        latents: in the space asked for.
        features: activations, flattened; without columns if no block was asked for.
    """

    latents: Float[Array, "b d"]
    features: Float[Array, "b f"]


def sample(
    generator: Generator,
    key: AnyKey,
    n: int,
    space: str,
    *,
    block: int | None = None,
    label: int | Labels | None = None,
    budget: int | None = None,
) -> Iterator[Batch]:
    """Draws `n` samples and yields them in batches, whose size changes nothing but rounding.

    Args:
        generator: the generator.
        key: one key, folded with the sample's index, or one for each sample.
        n: number of samples.
        space: "z", or "w" where there is a mapping network.
        block: the block whose activations are wanted, as of `Generator.features`.
        label: a class for all samples, or labels for each; of a conditional generator.
        budget: bytes of working memory; `None` for the default of the backend.

    Raises:
        UserError: before anything is drawn, if an argument does not fit the generator.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> [b.latents.shape for b in sample(generator, jax.random.key(0), 5000, "z")]
        [(1667, 2), (1667, 2), (1666, 2)]
    """
    n = operator.index(n)
    problems = []
    if n < 1:
        problems.append(f"n must be at least 1, got {n}")
    own = [name for name in generator.spaces if name in ("z", "w")]
    if space not in own:
        problems.append(f"space must be {' or '.join(own)}, got {space!r}")
    if block is not None and not 0 <= block < generator.num_blocks:
        problems.append(f"block must be in 0 to {generator.num_blocks - 1}, got {block}")
    if problems:
        raise UserError("; ".join(problems))
    labels = _labels(generator, label, n, needed=space == "w" or block is not None)
    return _batches(generator, per_sample(key, n), labels, space, block, budget)


def feature_count(generator: Generator, block: int) -> int:
    """Returns how many activations of a block one sample has, without computing any."""
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    label = jax.ShapeDtypeStruct((1,), jnp.int32) if generator.num_classes else None
    call = partial(_sample, space="z", block=block)
    return jax.eval_shape(call, generator, keys, label).features.shape[1]


def _labels(
    generator: Generator, label: int | Labels | None, n: int, needed: bool
) -> np.ndarray | None:
    if not generator.num_classes:
        if label is not None:
            raise UserError("this generator is not conditional; give no label")
        return None
    if label is None and not needed:
        return None
    if isinstance(label, int):
        class_weights(jnp.array([label]), 1, generator.num_classes)
        return np.full(n, label, np.int32)
    class_weights(label, n, generator.num_classes)
    return np.asarray(label)


def _batches(
    generator: Generator,
    keys: Key[Array, " n"],
    labels: np.ndarray | None,
    space: str,
    block: int | None,
    budget: int | None,
) -> Iterator[Batch]:
    total = keys.shape[0]
    size = -(-total // -(-total // _LATENTS_AT_ONCE))
    call = partial(_sample, generator, space=space, block=block)
    if block is not None:
        one = None if labels is None else labels[:1]
        size = chunk_size(call, keys[:1], one, total=total, budget=budget)
    for start in range(0, total, size):
        done = min(start + size, total)
        index = np.minimum(np.arange(start, start + size), total - 1)
        batch = call(keys[index], None if labels is None else labels[index])
        yield Batch(*(part[: done - start] for part in batch))


@partial(jax.jit, static_argnames=("space", "block"))
def _sample(
    generator: Generator,
    keys: Key[Array, " b"],
    label: Array | None,
    space: str,
    block: int | None,
) -> Batch:
    z = generator.sample_z(keys, keys.shape[0])
    if space == "z" and block is None:
        return Batch(z, z[:, :0])
    w = generator.map(z, label)
    latents = z if space == "z" else w
    if block is None:
        return Batch(latents, w[:, :0])
    features = generator.features(generator.broadcast(w), block, label=label)
    return Batch(latents, features.reshape(z.shape[0], -1))

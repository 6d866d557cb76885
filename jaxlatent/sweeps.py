"""Sweeps: every code along every direction at every strength, in one compiled program."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.directions import Directions, Stage
from jaxlatent.edits import (
    Mode,
    Moves,
    acts_on_z,
    check_rows,
    check_truncation,
    chosen_stage,
    move,
    moves,
)
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels, Noise
from jaxlatent.generators.base import class_weights
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.memory import check_host_memory, chunk_size

Progress = Callable[[int, int], None]


def render(
    generator: Generator,
    codes: Float[Array, "n L d"],
    *,
    noise: Noise = "const",
    key: AnyKey | None = None,
    label: Labels | None = None,
    budget: int | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, "n h w c"]:
    """Renders any number of codes, a chunk at a time, into one array in host memory.

    Args:
        generator: the generator.
        codes: a row for each layer; truncate them first if wanted.
        noise: see `Generator.synthesize`; maps must be the same for all samples.
        key: for random noise; each sample has its own, whatever the chunks.
        label: classes, if the synthesis reads them.
        budget: bytes of working memory, which set the chunk; `None` for the backend's default.
        progress: called with the images done and their number.

    Returns:
        Images, float32, not clipped.

    Raises:
        UserError: if the codes do not fit the generator.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> render(DCGAN(config, rngs=nnx.Rngs(0)), jnp.zeros((5, 1, 2))).shape
        (5, 4, 4, 3)
    """
    generator.check_codes(codes)
    n = codes.shape[0]
    work = _Work(generator, codes, *_noise(noise, key, n), _labels(generator, label, n))
    return _in_chunks(_render, work, n, budget, progress, mode=_mode(noise))


def sweep(
    generator: Generator,
    codes: Float[Array, "n L d"],
    directions: Directions,
    strengths: Sequence[float] | Float[Array | np.ndarray, " s"],
    *,
    layers: Sequence[int] | None = None,
    mode: Mode = "relative",
    stage: Stage | None = None,
    psi: float | None = None,
    cutoff: int | None = None,
    noise: Noise = "const",
    key: AnyKey | None = None,
    label: Labels | None = None,
    budget: int | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, "n k s h w c"]:
    """Renders every code moved along every direction by every strength.

    Args:
        generator: the generator.
        codes: codes before truncation, a row for each layer. For directions in z of a generator
            with a mapping network: latent vectors, [n, 1, z_dim].
        directions: `k` directions.
        strengths: `s` amounts in the directions' units.
        layers: the layers that move; `None` for those that the directions were found for.
        mode: "relative" or "absolute", see `jaxlatent.edits.moves`.
        stage: "before" or "after" truncation; `None` for the directions' own. (In z of a
            generator with a mapping network moves always come before.)
        psi: truncation; `None` for none.
        cutoff: the number of layers that are truncated; `None` for all.
        noise: see `Generator.synthesize`; a sample keeps its noise along the whole sweep.
        key: for random noise.
        label: classes of a conditional generator, one for each code.
        budget: bytes of working memory, which set the chunk; results do not depend on it. `None`
            for the default of the backend.
        progress: called with the images done and their number.

    Returns:
        Images, float32, not clipped.

    Raises:
        UserError: if the directions, layers or codes do not fit the generator.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> directions = Directions.of(jnp.eye(2)[:, None])
        >>> sweep(generator, jnp.zeros((5, 1, 2)), directions, [-1.0, 0.0, 1.0]).shape
        (5, 2, 3, 4, 4, 3)
    """
    steps = moves(generator, directions, layers, mode)
    check_rows(codes, steps)
    check_truncation(psi, cutoff)
    amounts = jnp.asarray(strengths, jnp.float32)
    if amounts.ndim != 1 or not amounts.size:
        raise UserError(f"strengths must be a list of numbers, got shape {list(amounts.shape)}")
    n, k, s = codes.shape[0], len(directions), amounts.shape[0]
    when = "z" if acts_on_z(generator, directions) else chosen_stage(directions, stage)
    scale = None if psi is None else jnp.float32(psi)
    labels = _labels(generator, label, n)
    work = _SweepWork(generator, codes, *_noise(noise, key, n), labels, steps, amounts, scale)
    images = _in_chunks(
        _sweep, work, n * k * s, budget, progress, mode=_mode(noise), stage=when, cutoff=cutoff
    )
    return images.reshape(n, k, s, *images.shape[1:])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Work:
    """What all chunks share; an argument of the compiled program, never a constant in it."""

    generator: Generator
    codes: Array
    keys: Array | None
    maps: Sequence[Array] | None
    label: Array | None

    def synthesize(self, codes: Array, index: Array, noise: Any) -> Array:
        """Renders codes made from those of the samples at `index`."""
        noise = noise if self.maps is None else self.maps
        keys = None if self.keys is None else self.keys[index]
        return self.generator.synthesize(codes, noise, keys, self.labels(index))

    def labels(self, index: Array) -> Array | None:
        return None if self.label is None else self.label[index]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _SweepWork(_Work):
    steps: Moves
    amounts: Array
    psi: Array | None


def _labels(generator: Generator, label: Labels | None, n: int) -> Array | None:
    """Returns labels as weights, checked here, where they have values."""
    if label is None:
        return None
    if not generator.num_classes:
        raise UserError("this generator is not conditional; give no label")
    return class_weights(label, n, generator.num_classes)


def _noise(noise: Noise, key: AnyKey | None, n: int) -> tuple[Any, Any]:
    keys = None if key is None else per_sample(key, n)
    return keys, None if isinstance(noise, str) else tuple(noise)


def _mode(noise: Noise) -> str:
    return noise if isinstance(noise, str) else "maps"


@partial(jax.jit, static_argnames="mode")
def _render(work: _Work, index: Int[Array, " b"], mode: str) -> Float[Array, "b h w c"]:
    return work.synthesize(work.codes[index], index, mode)


@partial(jax.jit, static_argnames=("mode", "stage", "cutoff"))
def _sweep(
    work: _SweepWork, index: Int[Array, " b"], mode: str, stage: str, cutoff: int | None
) -> Float[Array, "b h w c"]:
    """Renders the images at `index` of the flattened [n, k, s] grid."""
    k, s = work.steps.scale.shape[0], work.amounts.shape[0]
    i, j, t = index // (k * s), index // s % k, index % s

    def moved(codes: Array) -> Array:
        own = jax.tree.map(lambda leaf: leaf[j][:, None], work.steps)
        one = jax.vmap(lambda code, step, amount: move(code[None], step, amount[None, None])[0])
        return one(codes, own, work.amounts[t])

    generator, codes = work.generator, work.codes[i]
    if stage != "after":
        codes = moved(codes)
    if stage == "z":
        codes = generator.broadcast(generator.map(codes[:, 0], work.labels(i)))
    if work.psi is not None:
        codes = generator.truncate(codes, work.psi, cutoff)
    if stage == "after":
        codes = moved(codes)
    return work.synthesize(codes, i, mode)


def _in_chunks(
    program: Callable[..., Array],
    work: _Work,
    total: int,
    budget: int | None,
    progress: Progress | None,
    **static: Any,
) -> np.ndarray:
    """Runs a program over chunks of one size, so that it is compiled once."""
    shape = (total, *work.generator.image_shape)
    check_host_memory(f"{total} images", 4 * math.prod(shape))
    images = np.empty(shape, np.float32)
    if not total:
        return images
    call = partial(program, work, **static)
    size = chunk_size(call, jnp.zeros(1, jnp.int32), total=total, budget=budget)
    for start in range(0, total, size):
        done = min(start + size, total)
        index = np.minimum(np.arange(start, start + size, dtype=np.int32), total - 1)
        images[start:done] = call(index)[: done - start]
        if progress is not None:
            progress(done, total)
    return images

"""Sweeps: every code along every direction at every strength, in compiled programs."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.chunks import Chunks, Compiled, run
from jaxlatent.chunks import Progress as Progress
from jaxlatent.directions import Directions, Stage
from jaxlatent.edits import (
    Mode,
    acts_on_z,
    check_rows,
    check_truncation,
    chosen_stage,
    moves,
)
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels, Noise
from jaxlatent.generators.base import class_weights
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.memory import check_host_memory
from jaxlatent.programs import Grouped, SweepWork, Work, plan_render, plan_sweep


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
    plan = _rendering(generator, codes, noise, key, label, budget)
    images = _empty(generator, codes.shape[0])
    run(plan.dispatch() if plan else (), images, progress)
    return images


def warm_render(
    generator: Generator,
    codes: Float[Array, "n L d"],
    *,
    noise: Noise = "const",
    key: AnyKey | None = None,
    label: Labels | None = None,
    budget: int | None = None,
) -> list[Compiled]:
    """Compiles what `render` of the same arguments runs, and tells what that took."""
    plan = _rendering(generator, codes, noise, key, label, budget)
    return plan.compile() if plan else []


def _rendering(
    generator: Generator,
    codes: Float[Array, "n L d"],
    noise: Noise,
    key: AnyKey | None,
    label: Labels | None,
    budget: int | None,
) -> Chunks | None:
    generator.check_codes(codes)
    n = codes.shape[0]
    work = Work(generator, codes, *_noise(noise, key, n), _labels(generator, label, n))
    return plan_render(work, _mode(noise), budget) if n else None


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
    options = layers, mode, stage, psi, cutoff, noise, key, label, budget
    plan = _sweeping(generator, codes, directions, strengths, *options)
    grid = codes.shape[0], len(directions), len(strengths)
    images = _empty(generator, math.prod(grid))
    run(plan.dispatch() if plan else (), images, progress)
    return images.reshape(*grid, *generator.image_shape)


def warm_sweep(
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
) -> list[Compiled]:
    """Compiles what `sweep` of the same arguments runs, and tells what that took."""
    options = layers, mode, stage, psi, cutoff, noise, key, label, budget
    plan = _sweeping(generator, codes, directions, strengths, *options)
    return plan.compile() if plan else []


def _sweeping(
    generator: Generator,
    codes: Float[Array, "n L d"],
    directions: Directions,
    strengths: Sequence[float] | Float[Array | np.ndarray, " s"],
    layers: Sequence[int] | None,
    mode: Mode,
    stage: Stage | None,
    psi: float | None,
    cutoff: int | None,
    noise: Noise,
    key: AnyKey | None,
    label: Labels | None,
    budget: int | None,
) -> Chunks | Grouped | None:
    steps = moves(generator, directions, layers, mode)
    check_rows(codes, steps)
    check_truncation(psi, cutoff)
    amounts = jnp.asarray(strengths, jnp.float32)
    if amounts.ndim != 1 or not amounts.size:
        raise UserError(f"strengths must be a list of numbers, got shape {list(amounts.shape)}")
    n = codes.shape[0]
    when = "z" if acts_on_z(generator, directions) else chosen_stage(directions, stage)
    scale = None if psi is None else jnp.float32(psi)
    labels = _labels(generator, label, n)
    work = SweepWork(generator, codes, *_noise(noise, key, n), labels, steps, amounts, scale)
    if not n * len(directions):
        return None
    return plan_sweep(work, _mode(noise), when, cutoff, budget)


def _empty(generator: Generator, total: int) -> np.ndarray:
    shape = (total, *generator.image_shape)
    check_host_memory(f"{total} images", 4 * math.prod(shape))
    return np.empty(shape, np.float32)


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

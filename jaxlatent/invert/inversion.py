"""Images into latent codes: chunks of a batch, restarts, early ends, and runs that go on."""

import math
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels
from jaxlatent.invert import checks
from jaxlatent.invert.loop import How, begin, step
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.resume import Part, Store, check_folder
from jaxlatent.invert.starts import start
from jaxlatent.invert.work import Variables, Work
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.memory import chunk_size
from jaxlatent.sweeps import Progress

_LOOK_EVERY = 10  # steps from one look at whether all are done to the next


@dataclass(frozen=True, eq=False)
class Inversion:
    """What images became.

    Attributes:
        code: [n, m, d] in the recipe's space (points of W, if it has a chart).
        codes: the same, a row for each layer: what `edit`, `sweep` and `render` take.
        noise: optimised noise maps; empty if they were not.
        label: weights of classes, if there are some.
        images: what the generator renders from them.
        loss: of each image, the least.
        history: every step's loss of each image; of its best start.
        space: the recipe's.
    """

    code: Float[np.ndarray, "n m d"]
    codes: Float[np.ndarray, "n L e"]
    noise: tuple[Float[np.ndarray, "n _ _"], ...]
    label: Any
    images: Float[np.ndarray, "n h w c"]
    loss: Float[np.ndarray, " n"]
    history: Float[np.ndarray, "steps n"]
    space: str


def invert(
    generator: Generator,
    images: Float[Array | np.ndarray, "n h w c"],
    recipe: Recipe,
    key: AnyKey,
    *,
    label: Labels | None = None,
    codes: Any = None,
    mask: Any = None,
    chunk: int | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Inversion:
    """Finds codes whose images are like those given, many at once.

    Args:
        generator: the generator.
        images: of its size, in [-1, 1].
        recipe: what is optimised, and how; see `jaxlatent.invert.presets`.
        key: one key, folded with an image's number, or one for each image.
        label: classes of a conditional generator, one for each image.
        codes: where to start, such as an encoder's guess: [n, d] or [n, m, d] in the
            recipe's space.
        mask: how much each pixel counts, in [0, 1], [h, w] or [n, h, w]; `None` for 1.
        chunk: images (each with its restarts) at once; `None` for what fits into memory. Results
            depend on it by rounding at most.
        folder: keeps the run's state, so that the same call goes on after an interruption.
        progress: called with the steps done and their number, over all chunks.

    Returns:
        The best of each image's starts and steps.

    Raises:
        UserError: if images, labels, codes or masks do not fit the generator and the recipe, the
            folder holds another run, or no loss is finite.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> from jaxlatent.invert import Schedule
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator = DCGAN(config, rngs=nnx.Rngs(0))
        >>> target = generator.synthesize(jnp.ones((1, 1, 2)))
        >>> found = invert(generator, target, Recipe("z", 100, Schedule(0.1)), jax.random.key(0))
        >>> bool(found.loss[0] < 1e-4)
        True
    """
    recipe.check(generator)
    check_folder(folder)
    targets = checks.images(generator, images)
    n = len(targets)
    labels = checks.labels(generator, recipe, label, n)
    starts = checks.codes(generator, recipe, codes, n)
    masks = checks.mask(mask, targets.shape[:3])
    if chunk is not None and chunk < 1:
        raise UserError(f"chunk must be at least 1, got {chunk}")
    keys = per_sample(key, n)
    fixed: dict[str, Any] = {
        "generator": generator,
        "terms": checks.terms(recipe),
        "chart": recipe.chart,
        "deviation": checks.deviation(generator) if recipe.schedule.noise else jnp.zeros(()),
        "space": recipe.space,
        "noise": recipe.noise,
    }
    runs = n * recipe.restarts
    image_of = np.arange(runs) // recipe.restarts  # a run's image
    folds = jnp.arange(runs) % recipe.restarts
    run_keys = jax.vmap(jax.random.fold_in)(keys[image_of], folds)

    def work(rows: np.ndarray) -> Work:
        own = image_of[rows]
        some = [None if a is None else jnp.asarray(a[own]) for a in (labels, masks)]
        return Work(
            targets=jnp.asarray(targets[own]), keys=run_keys[rows], label=some[0], mask=some[1],
            **fixed,
        )  # fmt: skip

    size = _fitting(recipe, work(np.zeros(1, int)), runs)
    if chunk is not None:
        size = min(runs, chunk * recipe.restarts)
    chunks = math.ceil(runs / size)
    size = math.ceil(runs / chunks)
    run = {"recipe": recipe, "generator": generator, "images": targets, "key": keys}
    run |= {"label": labels, "codes": starts, "mask": masks, "chunk": size}
    store = Store(folder, run | {"backend": jax.default_backend()})
    parts = []
    for number in range(chunks):
        first = number * size
        rows = np.minimum(np.arange(first, first + size), runs - 1)

        def tell(steps: int, before: int = number * recipe.steps) -> None:
            if progress is not None:
                progress(before + steps, chunks * recipe.steps)

        own = None if starts is None else starts[image_of[rows]]
        part = _run(recipe, work(rows), own, store.part(first), tell)
        parts.append(jax.tree.map(itemgetter(slice(min(size, runs - first))), part))
    found, least, history = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    _check_finite(least.reshape(n, -1).min(1))
    best = least.reshape(n, -1).argmin(1) + np.arange(n) * recipe.restarts
    variables, own_codes, rendered = jax.tree.map(itemgetter(best), found)
    classes = labels if variables["label"] is None else variables["label"]
    maps = variables["noise"]
    return Inversion(
        variables["code"], own_codes, maps, classes, rendered, least[best], history[best].T,
        recipe.space,
    )  # fmt: skip


def _run(recipe: Recipe, work: Work, codes: Any, part: Part, tell: Any) -> tuple[Any, ...]:
    """Returns what `_rendered` gives for a chunk, least losses, and all losses [b, steps + 1]."""
    how = How.of(recipe)
    state, losses = part.restored(begin(recipe, start(recipe, work, codes)))
    for number in range(len(losses), recipe.steps + 1):
        looks = recipe.enough is not None and number % _LOOK_EVERY == 0
        if looks and losses and bool(state.done.all()):
            break
        state, loss = step(work, state, how)
        losses.append(loss)
        part.save_sometimes(state, losses)
        tell(min(number, recipe.steps))
    part.save(state, losses)
    tell(recipe.steps)
    history = np.stack([np.asarray(loss) for loss in losses], axis=1)
    left = recipe.steps + 1 - history.shape[1]
    history = np.pad(history, ((0, 0), (0, left)), mode="edge")
    return jax.device_get(_rendered(work, state.best)), np.asarray(state.least), history


@jax.jit
def _rendered(work: Work, variables: Variables) -> tuple[Variables, Array, Array]:
    """Returns the variables, with codes of W even if they are of a chart; codes; and images."""
    codes = work.codes(variables)
    label = work.classes(variables)
    images = work.generator.synthesize(codes, variables["noise"] or work.noise, label=label)
    if work.chart is not None:
        variables = variables | {"code": work.chart(variables["code"])}
    return variables, codes, images


def _fitting(recipe: Recipe, one: Work, runs: int) -> int:
    """Returns how many runs fit into memory at once."""
    state, how = begin(recipe, start(recipe, one)), How.of(recipe)
    return chunk_size(lambda work, s: step(work, s, how), one, state, total=runs)


def _check_finite(least: Float[np.ndarray, " n"]) -> None:
    odd = np.flatnonzero(~np.isfinite(least))
    if len(odd):
        raise UserError(
            f"no loss of the images {odd.tolist()} was finite; look at the terms and at the "
            "generator's weights"
        )

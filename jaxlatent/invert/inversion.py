"""Images into latent codes: chunks of a batch, restarts, early ends, and runs that go on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.find.samples import argument
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.base import class_weights
from jaxlatent.invert import loop
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.resume import Store
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.memory import chunk_size
from jaxlatent.sweeps import Progress

_FOR_DEVIATION = 10_000  # samples of w, as in StyleGAN2's projector
_LOOK_EVERY = 10  # steps from one look at whether all are done to the next


@dataclass(frozen=True, eq=False)
class Inversion:
    """What images became.

    Attributes:
        code: what was optimised, [n, m, d] in the recipe's space.
        codes: the same, a row for each layer: what `edit`, `sweep` and `render` take.
        noise: optimised noise maps; empty if they were not.
        images: what the generator renders from them.
        loss: of each image, the least.
        history: every step's loss of each image; of its best start.
        space: the recipe's.
    """

    code: Float[np.ndarray, "n m d"]
    codes: Float[np.ndarray, "n L d"]
    noise: tuple[Float[np.ndarray, "n _ _"], ...]
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
        chunk: images at once; `None` for what fits into memory. Results do not depend on it.
        folder: keeps the run's state, so that the same call goes on after an interruption.
        progress: called with the steps done and their number, over all chunks.

    Returns:
        The best of each image's starts and steps.

    Raises:
        UserError: if images, labels or codes do not fit the generator and the recipe, or the
            folder holds another run.

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
    n = _checked(generator, images)
    labels = None
    if label is not None:
        if not generator.num_classes:
            raise UserError("this generator is not conditional; give no label")
        labels = class_weights(label, n, generator.num_classes)
    starts = _starts(generator, recipe, codes, n)
    keys = per_sample(key, n)
    deviation = _deviation(generator) if recipe.schedule.noise else jnp.zeros(())
    terms = tuple((jnp.float32(weight), argument(term)) for weight, term in recipe.terms)
    runs = n * recipe.restarts
    image_of = np.arange(runs) // recipe.restarts  # a start's image
    run_keys = jax.vmap(jax.random.fold_in)(keys[image_of], jnp.arange(runs) % recipe.restarts)

    def work(rows: np.ndarray) -> loop.Work:
        which = image_of[rows]
        some = None if labels is None else labels[which]
        targets = jnp.asarray(np.asarray(images[which], np.float32))
        return loop.Work(generator, targets, run_keys[rows], some, terms, deviation)

    size = chunk or _fitting(recipe, generator, work(np.zeros(1, int)), runs)
    size = math.ceil(runs / math.ceil(runs / size))
    store = Store(folder, recipe, generator, images, size)
    parts = []
    for first in range(0, runs, size):
        rows = np.minimum(np.arange(first, first + size), runs - 1)
        some = None if starts is None else starts[image_of[rows]]
        done = first // size * recipe.steps
        total = math.ceil(runs / size) * recipe.steps

        def tell(steps: int, done: int = done, total: int = total) -> None:
            if progress is not None:
                progress(done + steps, total)

        part = _run(recipe, work(rows), some, store.part(first), tell)
        parts.append(jax.tree.map(itemgetter(slice(min(size, runs - first))), part))
    variables, least, history = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    best = least.reshape(n, -1).argmin(1) + np.arange(n) * recipe.restarts
    variables = jax.tree.map(lambda leaf: leaf[best], variables)
    return _result(generator, recipe, variables, least[best], history[best].T, labels)


def _run(
    recipe: Recipe, work: loop.Work, codes: Any, part: Any, tell: Any
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Returns a chunk's best variables, their losses [b], and all losses [b, steps + 1]."""
    if (whole := part.finished()) is not None:
        tell(recipe.steps)
        return whole
    state = loop.begin(recipe, loop.start(recipe, work.generator, work.keys, work.label, codes))
    state, losses = part.restored(state)
    for number in range(len(losses), recipe.steps + 1):
        state, loss = loop.step(recipe, work, state)
        losses.append(loss)
        part.save_sometimes(state, losses)
        tell(min(number + 1, recipe.steps))
        if recipe.enough is not None and number % _LOOK_EVERY == 0 and bool(state.done.all()):
            break
    history = np.stack([np.asarray(loss) for loss in losses], axis=1)
    left = recipe.steps + 1 - history.shape[1]
    history = np.pad(history, ((0, 0), (0, left)), mode="edge")
    whole = (jax.device_get(state.best), np.asarray(state.least), history)
    part.finish(whole)
    return whole


def _checked(generator: Generator, images: Any) -> int:
    """Returns the number of images, after looking at them."""
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1:] != generator.image_shape or not shape[0]:
        expected = ", ".join(map(str, ("n", *generator.image_shape)))
        raise UserError(f"images must have the shape [{expected}], got {list(shape)}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(
            f"images must be of a floating type, in [-1, 1], got {images.dtype}; uint8 pixels are "
            "x / 127.5 - 1"
        )
    if not np.isfinite(np.asarray(images)).all():
        raise UserError("images hold numbers that are not finite")
    return shape[0]


def _starts(generator: Generator, recipe: Recipe, codes: Any, n: int) -> Any:
    if codes is None:
        return None
    rows, width = generator.spaces[recipe.space]
    shapes = [(n, rows, width)] + ([(n, width)] if rows == 1 else [])
    if tuple(codes.shape) not in shapes:
        raise UserError(f"codes must have the shape {list(shapes[0])}, got {list(codes.shape)}")
    if recipe.restarts > 1:
        raise UserError("codes are one start for each image; the recipe asks for restarts")
    return jnp.asarray(codes, jnp.float32).reshape(shapes[0])


def _fitting(recipe: Recipe, generator: Generator, one: loop.Work, runs: int) -> int:
    """Returns how many runs fit into memory at once."""
    variables = loop.start(recipe, generator, one.keys, one.label)
    state = loop.begin(recipe, variables)
    return chunk_size(lambda s: loop.step(recipe, one, s), state, total=runs)


@jax.jit
def _w_deviation(w: Float[Array, "n d"]) -> Float[Array, ""]:
    return jnp.sqrt(jnp.square(w - w.mean(0)[None]).sum() / w.shape[0])


def _deviation(generator: Generator) -> Float[Array, ""]:
    """Returns the root of the mean squared distance of w from its mean."""
    if generator.num_classes:
        raise UserError("noise on codes needs the deviation of w, which depends on the class here")
    w = jax.jit(lambda g, k: g.map(g.sample_z(k, _FOR_DEVIATION)))(generator, jax.random.key(0))
    return _w_deviation(w)


def _result(
    generator: Generator,
    recipe: Recipe,
    variables: dict[str, Any],
    least: np.ndarray,
    history: np.ndarray,
    label: Any,
) -> Inversion:
    from jaxlatent.sweeps import render

    code = jnp.asarray(variables["code"])
    codes = loop.as_codes(generator, code, recipe.space, label)
    noise: Sequence[np.ndarray] = variables["noise"]
    stored: Any = recipe.noise
    if noise:
        images = np.concatenate(
            [
                render(
                    generator,
                    codes[i : i + 1],
                    noise=[jnp.asarray(m[i]) for m in noise],
                    label=None if label is None else label[i : i + 1],
                )
                for i in range(len(code))
            ]
        )
    else:
        images = render(generator, codes, noise=stored, label=label)
    return Inversion(
        np.asarray(code), np.asarray(codes), tuple(noise), images, least, history, recipe.space
    )

"""The compiled programs of `render` and `sweep`, and how their work is divided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlatent.chunks import Chunks, Compiled, compiled
from jaxlatent.edits import Moves, move
from jaxlatent.generators import Generator
from jaxlatent.generators.base import State
from jaxlatent.memory import chunk_size, default_budget, tree_bytes
from jaxlatent.prefix import untouched_steps


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Work:
    """What all chunks share; an argument of the compiled program, never a constant in it."""

    generator: Generator
    codes: Array
    keys: Array | None
    maps: Sequence[Array] | None
    label: Array | None

    def reads(self, codes: Array, index: Array, noise: Any) -> tuple[Any, ...]:
        """Returns what synthesis takes for codes made from those of the samples at `index`."""
        noise = noise if self.maps is None else self.maps
        keys = None if self.keys is None else self.keys[index]
        return codes, noise, keys, self.labels(index)

    def labels(self, index: Array) -> Array | None:
        """Returns the labels of the samples at `index`."""
        return None if self.label is None else self.label[index]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SweepWork(Work):
    """What all chunks of a sweep share."""

    steps: Moves
    amounts: Array
    psi: Array | None

    def truncated(self, codes: Array, cutoff: int | None) -> Array:
        """Returns codes after truncation, if there is any."""
        return codes if self.psi is None else self.generator.truncate(codes, self.psi, cutoff)

    def moved(self, index: Array, stage: str, cutoff: int | None) -> tuple[Array, Array]:
        """Returns the codes of the images at `index` of the [n, k, s] grid, and whose they are."""
        k, s = self.steps.scale.shape[0], self.amounts.shape[0]
        i, j, t = index // (k * s), index // s % k, index % s

        def moved(codes: Array) -> Array:
            own = jax.tree.map(lambda leaf: leaf[j][:, None], self.steps)
            one = jax.vmap(lambda code, step, amount: move(code[None], step, amount[None, None])[0])
            return one(codes, own, self.amounts[t]).astype(codes.dtype)

        codes = self.codes[i]
        if stage != "after":
            codes = moved(codes)
        if stage == "z":
            codes = self.generator.broadcast(self.generator.map(codes[:, 0], self.labels(i)))
        codes = self.truncated(codes, cutoff)
        return (moved(codes) if stage == "after" else codes), i


@dataclass(frozen=True)
class Grouped:
    """A sweep that renders the steps which no edit touches once for each code.

    Attributes:
        work: what all chunks share.
        static: static arguments of the program that ends the images.
        group: codes whose states are kept at a time.
        size: images in a chunk.
    """

    work: SweepWork
    static: dict[str, Any]
    group: int
    size: int

    def dispatch(self) -> Iterable[tuple[int, Array]]:
        """Yields for each chunk how many of its images count, and all of them, not awaited."""
        n, edits = len(self.work.codes), _edits(self.work)
        for first in range(0, n, self.group):
            index = np.arange(first, first + self.group, dtype=np.int32)
            states = sweep_states(self.work, np.minimum(index, n - 1), **_of_states(self.static))
            total = min(self.group, n - first) * edits
            yield from self._rest(states, first, total).dispatch()

    def compile(self) -> list[Compiled]:
        """Compiles both programs, for the cache on disk; runs the first on one group."""
        index = np.arange(self.group, dtype=np.int32)
        static = _of_states(self.static)
        first = compiled(sweep_states, self.work, index, **static)
        # real states, as the cache tells programs apart by where their arguments are, too
        states = sweep_states(self.work, index, **static)
        return [first, *self._rest(states, 0, self.size).compile()]

    def _rest(self, states: State, first: int, total: int) -> Chunks:
        arguments = (self.work, states, np.int32(first))
        return Chunks(sweep_rest, arguments, self.static, total, self.size)


def plan_render(work: Work, mode: str, budget: int | None) -> Chunks:
    """Divides the rendering of codes, at least one, into chunks."""
    total = len(work.codes)
    call = partial(render_images, work, mode=mode)
    size = chunk_size(call, jnp.zeros(1, jnp.int32), total=total, budget=budget)
    return Chunks(render_images, (work,), {"mode": mode}, total, size)


def plan_sweep(
    work: SweepWork, mode: str, stage: str, cutoff: int | None, budget: int | None
) -> Chunks | Grouped:
    """Divides a sweep of at least one code into chunks; shares untouched steps if there are any.

    Two groups of kept states take half of the budget at most, unless one code's take more: the
    states of the next group are rendered while those before are still in use.
    """
    n, edits = len(work.codes), _edits(work)
    static = {"mode": mode, "stage": stage, "cutoff": cutoff}
    zero = jnp.zeros(1, jnp.int32)
    moving = np.any(np.asarray(work.steps.vectors) != 0, axis=0)
    shared = 0 if stage == "z" or edits == 1 else untouched_steps(work.generator, moving)
    if not shared:
        call = partial(sweep_images, work, **static)
        size = chunk_size(call, zero, total=n * edits, budget=budget)
        return Chunks(sweep_images, (work,), static, n * edits, size)
    budget = default_budget() if budget is None else budget
    static["shared"] = shared
    start = partial(sweep_states, work, **_of_states(static))
    one = jax.eval_shape(start, zero)
    fitting = max(1, budget // (4 * tree_bytes(one)))
    group = chunk_size(start, zero, total=n, budget=budget, most=fitting)
    rest = partial(sweep_rest, work, first=jnp.int32(0), **static)
    left = max(1, budget - 2 * group * tree_bytes(one))
    size = chunk_size(
        lambda states, index: rest(states=states, index=index),
        one, zero, total=group * edits, budget=left,
    )  # fmt: skip
    return Grouped(work, static, group, size)


def _of_states(static: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in static.items() if name != "stage"}


def _edits(work: SweepWork) -> int:
    return work.steps.scale.shape[0] * work.amounts.shape[0]


@partial(jax.jit, static_argnames="mode")
def render_images(work: Work, index: Int[Array, " b"], mode: str) -> Float[Array, "b h w c"]:
    """Renders the codes at `index`."""
    return work.generator.synthesize(*work.reads(work.codes[index], index, mode))


@partial(jax.jit, static_argnames=("mode", "stage", "cutoff"))
def sweep_images(
    work: SweepWork, index: Int[Array, " b"], mode: str, stage: str, cutoff: int | None
) -> Float[Array, "b h w c"]:
    """Renders the images at `index` of the flattened [n, k, s] grid."""
    codes, own = work.moved(index, stage, cutoff)
    return work.generator.synthesize(*work.reads(codes, own, mode))


@partial(jax.jit, static_argnames=("mode", "cutoff", "shared"))
def sweep_states(
    work: SweepWork, index: Int[Array, " b"], mode: str, cutoff: int | None, shared: int
) -> State:
    """Renders the first steps of the codes at `index`, which no move of the sweep touches."""
    generator, codes = work.generator, work.truncated(work.codes[index], cutoff)
    inputs = generator.prepare(*work.reads(codes, index, mode))
    state = generator.start(inputs)
    for step in range(shared):
        state = generator.step(step, state, inputs)
    return state


@partial(jax.jit, static_argnames=("mode", "stage", "cutoff", "shared"))
def sweep_rest(
    work: SweepWork,
    states: State,
    first: Int[Array, ""],
    index: Int[Array, " b"],
    mode: str,
    stage: str,
    cutoff: int | None,
    shared: int,
) -> Float[Array, "b h w c"]:
    """Renders the images at `index` of a group's grid on from the states of its codes.

    Args:
        work: what all chunks share.
        states: those after the first `shared` steps, of the codes from the `first` on.
        first: number of the group's first code.
        index: numbers of images, from the group's first on.
        mode: what noise to add.
        stage: when to move.
        cutoff: the number of layers that are truncated.
        shared: how many steps are already applied.
    """
    codes, own = work.moved(first * _edits(work) + index, stage, cutoff)
    generator = work.generator
    inputs = generator.prepare(*work.reads(codes, own, mode))
    state = jax.tree.map(lambda leaf: leaf[own - first], states)
    for step in range(shared, generator.num_steps):
        state = generator.step(step, state, inputs)
    return generator.finish(state, inputs)

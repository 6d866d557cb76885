"""Programs run over chunks of one size, the next dispatched before the last one is copied."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Progress = Callable[[int, int], None]


class Compiled(NamedTuple):
    """What it took to compile a program, in seconds; `compile` is short if the cache has it."""

    name: str
    trace: float
    lower: float
    compile: float


@dataclass(frozen=True)
class Chunks:
    """A compiled program that makes the images at some numbers, and how often it has to run.

    Attributes:
        program: jitted function of `arguments`, numbers [size] and `static`.
        arguments: what all chunks share.
        static: static arguments by name.
        total: number of images.
        size: images in a chunk; the same in all, so that there is one program.
    """

    program: Any
    arguments: tuple[Any, ...]
    static: dict[str, Any]
    total: int
    size: int

    def dispatch(self) -> Iterable[tuple[int, Array]]:
        """Yields for each chunk how many of its images count, and all of them, not awaited."""
        for start in range(0, self.total, self.size):
            numbers = np.arange(start, start + self.size, dtype=np.int32)
            index = np.minimum(numbers, self.total - 1)
            made = self.program(*self.arguments, index, **self.static)
            yield min(self.size, self.total - start), made

    def compile(self) -> list[Compiled]:
        """Compiles the program, for the cache on disk, without running it."""
        index = jax.ShapeDtypeStruct((self.size,), jnp.int32)
        return [compiled(self.program, *self.arguments, index, **self.static)]


def compiled(program: Any, *arguments: Any, **static: Any) -> Compiled:
    """Compiles a jitted function for arguments, or their shapes, and takes the time."""
    times = [perf_counter()]
    traced = program.trace(*arguments, **static)
    times.append(perf_counter())
    lowered = traced.lower()
    times.append(perf_counter())
    lowered.compile()
    times.append(perf_counter())
    return Compiled(program.__name__, *np.diff(times).tolist())


def run(
    chunks: Iterable[tuple[int, Array]],
    images: Float[np.ndarray, "n h w c"],
    progress: Progress | None = None,
) -> None:
    """Fills `images` from what `Chunks.dispatch` yields; at most two chunks are in flight.

    Args:
        chunks: images to copy, each with how many of them count.
        images: where they go, in order.
        progress: called with the images done and their number.
    """
    done, waiting = 0, None
    for count, made in chunks:
        made.copy_to_host_async()
        if waiting is not None:
            done = _copied(images, done, *waiting, progress)
        waiting = count, made
    if waiting is not None:
        _copied(images, done, *waiting, progress)


def _copied(
    images: np.ndarray, done: int, count: int, made: Array, progress: Progress | None
) -> int:
    images[done : done + count] = np.asarray(made)[:count]
    if progress is not None:
        progress(done + count, len(images))
    return done + count

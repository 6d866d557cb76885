"""The exact covariance of rows that come in batches: one pass, mergeable, summable over devices.

Sums of deviations from a fixed point and of their products, in float64 (Chan, Golub and LeVeque,
"Algorithms for Computing the Sample Variance", The American Statistician 1983).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.layers import PRECISION
from jaxlatent.memory import check_host_memory

Rows = Float[Array | np.ndarray, "_ d"]

_CHUNK = 2048  # rows at once, whose float64 deviations stay in a core's cache


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Moments:
    """What is known of the rows so far; float64, so use it inside `jax.enable_x64(True)`.

    Attributes:
        shift: a point near the rows' mean, from which deviations are measured.
        count: number of rows.
        total: sum of the deviations.
        products: sum of the deviations' outer products.
    """

    shift: Float[Array | np.ndarray, " d"]
    count: Float[Array | np.ndarray, ""]
    total: Float[Array | np.ndarray, " d"]
    products: Float[Array | np.ndarray, "d d"]

    @classmethod
    def of(cls, rows: Rows, shift: Float[Array | np.ndarray, " d"]) -> "Moments":
        """Returns the moments of `rows`; can be traced.

        Args:
            rows: float32 or float64.
            shift: any point; the closer to the mean, the less is lost to rounding.

        Example:
            >>> with jax.enable_x64(True):
            ...     found = Moments.of(jnp.array([[1.0], [3.0]]), jnp.zeros(1))
            ...     found.count.item(), found.total.item(), found.products.item()
            (2.0, 4.0, 10.0)
        """
        with jax.enable_x64(True):
            return _moments(rows, shift)

    def merge(self, other: "Moments") -> "Moments":
        """Returns the moments of the rows of both, whatever their shifts."""
        with jax.enable_x64(True):
            return _merge(self, other)

    def psum(self, axis: str) -> "Moments":
        """Returns the moments of all devices' rows, inside `jax.shard_map`.

        Args:
            axis: of the mesh. All devices must have used the same shift.
        """
        sums = {name: getattr(self, name) for name in ("count", "total", "products")}
        return replace(self, **jax.lax.psum(sums, axis))

    def covariance(self) -> "Covariance":
        """Returns mean and covariance.

        Raises:
            UserError: if there are fewer than two rows, or a number is not finite.
        """
        count = int(self.count)
        if count < 2:
            raise UserError(f"a covariance needs at least 2 rows, got {count}")
        total = np.asarray(self.total)
        matrix = np.asarray(self.products) - np.outer(total, total) / count
        if not np.isfinite(matrix).all():
            raise UserError("the rows hold numbers that are not finite or far too large")
        mean = np.asarray(self.shift, np.float64) + total / count
        return Covariance(count, mean, matrix / (count - 1))


@dataclass(frozen=True, eq=False)
class Covariance:
    """Mean and covariance in host memory.

    Attributes:
        count: number of rows.
        mean: their mean, float64.
        matrix: their covariance with denominator `count - 1`, float64.
    """

    count: int
    mean: Float[np.ndarray, " d"]
    matrix: Float[np.ndarray, "d d"]


def covariance(rows: Rows | Iterable[Rows]) -> Covariance:
    """Returns the covariance of rows, which may come in batches.

    What is held is one batch and two matrices [d, d]. How rows are cut into batches changes the
    result by rounding in float64 only.

    Args:
        rows: one array [n, d], or anything that yields such arrays.

    Raises:
        UserError: if the rows are fewer than two, differ in width, are not finite, or so wide
            that the matrix does not fit into memory.

    Example:
        >>> found = covariance([jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 1.0], [4.0, 1.0]])])
        >>> found.mean.tolist(), found.matrix.tolist()
        ([2.0, 1.0], [[4.0, 0.0], [0.0, 0.0]])
    """
    state: Moments | None = None
    for batch in chunks(rows):
        with jax.enable_x64(True):
            if state is None:
                shift = np.asarray(batch).mean(axis=0, dtype=np.float64)
                of, add = (_moments_on_host, _add_on_host) if _on_host(batch) else (_moments, _add)
                state = of(batch, shift)
            else:
                state = add(state, batch)
    if state is None:
        raise UserError("a covariance needs at least 2 rows, got none")
    return state.covariance()


def chunks(rows: Rows | Iterable[Rows]) -> Iterator[Rows]:
    """Yields checked batches of at most 2048 rows, none of them empty.

    Raises:
        UserError: if a batch is no array [n, d] of a floating type, or the widths differ.
    """
    width = None
    batches: Iterable[Rows] = [rows] if isinstance(rows, Array | np.ndarray) else rows
    for batch in batches:
        if batch.ndim != 2 or not jnp.issubdtype(batch.dtype, jnp.floating):
            raise UserError(
                f"rows must be [n, d] of a floating type, got {list(batch.shape)} {batch.dtype}"
            )
        if width is None:
            width = batch.shape[1]
            check_host_memory(f"covariances of {width} numbers", 3 * 8 * width**2)
        if batch.shape[1] != width:
            raise UserError(f"all rows must have one width, got {width} and {batch.shape[1]}")
        for start in range(0, batch.shape[0], _CHUNK):
            yield batch[start : start + _CHUNK]


def peeked(batches: Iterator[Rows]) -> tuple[int, Iterator[Rows]]:
    """Returns the rows' width and all the batches, the first one included.

    Raises:
        UserError: if there is none.
    """
    first = next(batches, None)
    if first is None:
        raise UserError("there are no rows")
    return first.shape[1], chain([first], batches)


@jax.jit
def _moments(rows: Rows, shift: Float[Array | np.ndarray, " d"]) -> Moments:
    shift = jnp.asarray(shift, jnp.float64)
    away = jnp.asarray(rows, jnp.float64) - shift[None]
    return Moments(
        shift=shift,
        count=jnp.float64(rows.shape[0]),
        total=jnp.sum(away, axis=0),
        products=jnp.matmul(away.T, away, precision=PRECISION),
    )


@partial(jax.jit, donate_argnums=0)
def _add(state: Moments, rows: Rows) -> Moments:
    new = _moments(rows, state.shift)
    return Moments(
        shift=state.shift,
        count=state.count + new.count,
        total=state.total + new.total,
        products=state.products + new.products,
    )


def _on_host(rows: Rows) -> bool:
    """Returns whether rows are in host memory, where BLAS is much faster than XLA."""
    if isinstance(rows, np.ndarray):
        return True
    return all(device.platform == "cpu" for device in rows.devices())


def _moments_on_host(rows: Rows, shift: Float[np.ndarray, " d"]) -> Moments:
    """Returns what `_moments` does; only half of the products have to be computed here."""
    with np.errstate(all="ignore"):  # what is not finite is told at the end
        away = np.array(rows, np.float64)
        away -= shift[None]
        count = np.array(len(away), np.float64)
        return Moments(shift, count, away.sum(axis=0), away.T @ away)


def _add_on_host(state: Moments, rows: Rows) -> Moments:
    new = _moments_on_host(rows, np.asarray(state.shift))
    return Moments(
        shift=new.shift,
        count=np.asarray(state.count + new.count),
        total=state.total + new.total,
        products=state.products + new.products,
    )


@jax.jit
def _merge(one: Moments, other: Moments) -> Moments:
    gap = jnp.asarray(other.shift) - one.shift
    mixed = jnp.outer(other.total, gap)
    moved = other.products + mixed + mixed.T + other.count * jnp.outer(gap, gap)
    return Moments(
        shift=one.shift,
        count=one.count + other.count,
        total=one.total + other.total + other.count * gap,
        products=one.products + moved,
    )

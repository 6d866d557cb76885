"""How many images fit into memory at once, read off the traced program."""

import math
import os
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Literal

from jaxlatent.errors import UserError

_MOST = 128


def _bytes(values: Any) -> int:
    return sum(math.prod(v.aval.shape) * v.aval.dtype.itemsize for v in values)


def _widest(jaxpr: Any) -> int:
    """Bytes that the most demanding equation reads and writes."""
    widest = 0
    for equation in jaxpr.eqns:
        inner = [p.jaxpr for p in equation.params.values() if hasattr(p, "jaxpr")]
        if inner:
            widest = max(widest, *(_widest(j) for j in inner))
        else:
            variables = [v for v in equation.invars if not isinstance(v, Literal)]
            widest = max(widest, _bytes(variables) + _bytes(equation.outvars))
    return widest


def tree_bytes(tree: Any) -> int:
    """Returns the bytes of all arrays, or shapes of arrays, in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def check_host_memory(what: str, size: int, advice: str = "ask for fewer at once") -> None:
    """Raises `UserError` if `size` bytes are more than the machine's memory."""
    if not hasattr(os, "sysconf"):  # Windows does not tell
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise UserError(
            f"{what} need {size / 2**30:.0f} GiB, this machine has {memory / 2**30:.0f} GiB; "
            f"{advice}"
        )


def default_budget() -> int:
    """Returns the bytes of working memory to use: little on CPU, where caches matter more."""
    return 128 << 20 if jax.default_backend() == "cpu" else 2 << 30


def chunk_size(
    function: Callable[..., Any],
    *one: Any,
    total: int,
    budget: int | None = None,
    most: int = _MOST,
) -> int:
    """Returns how many samples `function` may take at once, so that all chunks are about equal.

    Args:
        function: a batched function.
        *one: its arguments for a batch of one, as arrays or shapes.
        total: the number of samples there are, at least one.
        budget: bytes of working memory; `None` for the default of the backend.
        most: no more than these at once, whatever the budget.

    Raises:
        UserError: if the budget is no whole number above 0.

    Example:
        >>> import jax.numpy as jnp
        >>> chunk_size(lambda x: x * 2, jnp.zeros((1, 1000)), total=15, budget=100_000)
        8
    """
    budget = default_budget() if budget is None else budget
    if not 1 <= budget < math.inf or budget != int(budget):
        raise UserError(f"budget must be a number of bytes above 0, got {budget}")
    budget = int(budget)
    widest = max(1, _widest(jax.make_jaxpr(function)(*one).jaxpr))
    most = max(1, min(total, _MOST, most, 2 * budget // (3 * widest)))
    return math.ceil(total / math.ceil(total / most))

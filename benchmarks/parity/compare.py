"""How far our arrays are from the goldens', and how far they may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.parity.flips import gradients_with_flips
from benchmarks.parity.goldens import Golden

TOLERANCE = 1e-4  # of the largest absolute value, forward and gradient
COSINE = 1e-3  # of a gradient whose activations' signs are not decided by float32: 1 - cosine
_KINK = "grad_change_relative_to_max_when_inputs_jitter_2e-6"


@dataclass(frozen=True)
class Gradient:
    """A gradient to compare, as a function, so that undecided signs can be set in it.

    Attributes:
        model: the network.
        loss: a function of network and array to a number; compiled once for all its gradients.
        at: the array.
        before: what comes before the loss, such as the mapping network; `at` is its argument.
        layout: turns our gradient into the golden's layout.
        kink: what an input's rounding does to the original's gradient, relative to its maximum.
    """

    model: Any
    loss: Callable[[Any, jax.Array], jax.Array]
    at: Any
    before: Callable[[jax.Array], jax.Array] = lambda x: x
    layout: Callable[[Any], Any] = np.asarray
    kink: float = 0.0


@dataclass(frozen=True)
class Outputs:
    """What our network gives for a golden.

    Attributes:
        arrays: ours, in the golden's layout, under the golden's names.
        inputs: the golden's arrays that are not outputs.
    """

    arrays: Mapping[str, Any]
    inputs: frozenset[str]


@dataclass(frozen=True)
class Check:
    """One compared array: the error, relative to its maximum, and what is allowed."""

    array: str
    error: float
    tolerance: float
    note: str = ""


def check_all(golden: Golden, outputs: Outputs) -> list[Check]:
    """Compares every array of a golden.

    Raises:
        ValueError: if an array of the golden is neither an input nor computed, or the reverse.
    """
    expected = set(golden.arrays) - outputs.inputs
    if expected != set(outputs.arrays):
        raise ValueError(f"{golden.name}: {sorted(expected ^ set(outputs.arrays))} do not match")
    return [_check(n, ours, golden.arrays[n]) for n, ours in sorted(outputs.arrays.items())]


def _check(name: str, ours: Any, theirs: np.ndarray) -> Check:
    if isinstance(ours, Gradient):
        return _check_gradient(name, ours, theirs)
    return Check(name, error(ours, theirs), TOLERANCE)


def error(ours: Any, theirs: np.ndarray) -> float:
    """Returns the largest difference, relative to the largest value."""
    ours = np.asarray(ours)
    if ours.shape != theirs.shape:
        raise ValueError(f"ours is {ours.shape}, the golden's {theirs.shape}")
    largest = float(np.abs(theirs).max(initial=0))
    return float(np.abs(ours - theirs).max(initial=0)) / (largest or 1.0)


@cache
def _compiled_gradient(loss: Callable[[Any, jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    return jax.jit(jax.grad(loss, argnums=1))


def _check_gradient(name: str, ours: Gradient, theirs: np.ndarray) -> Check:
    """Compares gradients; the original's own signs may be undecided.

    Where an activation's input is closer to 0 than rounding, our sign and the original's are both
    right and the gradient jumps between them. Then, with a few such signs set as the original had
    them, the whole gradient must agree; where the golden says that rounding of its inputs moves
    many signs, the gradients' cosine must.
    """
    at, pull_back = jax.vjp(ours.before, jnp.asarray(ours.at))
    by_loss = _compiled_gradient(ours.loss)(ours.model, at)
    gradient = np.asarray(ours.layout(pull_back(by_loss)[0]))
    plain = error(gradient, theirs)
    if plain <= TOLERANCE:
        return Check(name, plain, TOLERANCE)
    if ours.kink > TOLERANCE:
        a, b = gradient.ravel().astype(np.float64), theirs.ravel().astype(np.float64)
        cosine = float(a @ b / np.sqrt((a @ a) * (b @ b)))
        note = f"1 - cosine; of the maximum {plain:.1e}, the original's own kink {ours.kink:.1e}"
        return Check(name, 1 - cosine, COSINE, note)
    if theirs.shape != np.shape(ours.at):
        return Check(name, plain, TOLERANCE)
    steps = gradients_with_flips(
        lambda at: ours.loss(ours.model, ours.before(at)), jnp.asarray(ours.at), theirs
    )
    least, flips = min((error(found, theirs), flips) for found, flips in steps)
    how = f"with {flips} undecided signs set as the original rounded them"
    how = how if flips else "compiled in another way, which rounds an undecided sign otherwise"
    note = f"{how}; as compiled at first {plain:.1e}"
    return Check(name, least, TOLERANCE, note)


def kink(golden: Golden, name: str) -> float:
    """Returns what rounding an input does to the original's gradient by it, of its maximum."""
    return float((golden.meta.get(_KINK) or {}).get(name, 0.0))


def weights(golden: Golden) -> np.ndarray:
    """Returns the array R with which the output is multiplied before it is differentiated.

    It is stored as `grad_rand`, or described as "np.random.RandomState(1).standard_normal([2, 3])".
    """
    if "grad_rand" in golden.arrays:
        return golden.arrays["grad_rand"]
    seed, shape = golden.meta["grad"]["R"].split("RandomState(")[1].split(").standard_normal(")
    sizes = [int(n) for n in shape.split(")")[0].strip("[]").split(",")]
    return np.random.RandomState(int(seed)).standard_normal(sizes).astype(np.float32)

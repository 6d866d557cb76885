"""Which activations the original rounded to the other side of 0, found from its gradient.

Where a leaky ReLU's input is closer to 0 than rounding, its slope may be 1 here and 0.2 in the
original, and both are right. Among millions of activations a few always are. Such a flip adds to
a sample's gradient the product of three things that are known: the gradient by the activation's
output, the change of its slope, and the derivative of its input.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent.generators import layers

UNDECIDED = 1e-6  # of a layer's largest input: below this, float32 does not know the sign
MOST = 3  # flips in one sample; it has a whole gradient, of hundreds of numbers, to explain
_EXPLAINED = 1e-5  # of the largest gradient: what differs by less needs no flip
_CHANGE = 0.8  # of a leaky ReLU's slope, from 1 to 0.2
Loss = Callable[[jax.Array], jax.Array]


def gradients_with_flips(
    loss: Loss, at: jax.Array, theirs: np.ndarray
) -> Iterator[tuple[np.ndarray, int]]:
    """Yields gradients that come closer to `theirs`, and the number of signs flipped for each.

    A step flips at most one sign in each sample: of the undecided activations the one whose flip
    adds most nearly what is missing.

    Args:
        loss: a function of `at`, whose first axis are samples, independent of each other.
        at: where the gradient is taken.
        theirs: the original's gradient.
    """
    survey = jax.jit(lambda codes, flips: _survey(loss, codes, jnp.asarray(theirs), flips))
    flips = np.full((2, len(at), MOST), -1)  # call of the activation and place in it
    for step in range(MOST + 1):
        gradient, scores, places = (np.asarray(x) for x in survey(at, flips))
        yield gradient, int((flips[0] >= 0).sum())
        if step < MOST:
            missing = np.abs(theirs - gradient).reshape(len(theirs), -1).max(axis=1)
            call = scores.argmin(axis=0)
            sure = (missing > _EXPLAINED * np.abs(theirs).max()) & (scores.min(axis=0) < 0.5)
            flips[0, :, step] = np.where(sure, call, -1)
            flips[1, :, step] = np.where(sure, places[call, np.arange(len(at))], 0)


def _survey(loss: Loss, codes: Any, theirs: Any, flips: Any) -> tuple[Any, Any, Any]:
    """Returns the gradient, and for each call and sample the best flip: its score and place."""

    def run(codes: Any, added: list[Any] | None) -> tuple[Any, list[Any]]:
        with _Watched(flips, added) as watched:
            return loss(codes), watched.inputs

    shapes = jax.eval_shape(lambda c: run(c, None)[1], codes)
    zeros = [jnp.zeros(s.shape, s.dtype) for s in shapes]
    (gradient, by_output), inputs = jax.grad(run, (0, 1), has_aux=True)(codes, zeros)
    missing = theirs - gradient
    _, moves = jax.jvp(lambda c: run(c, None)[1], (codes,), (missing,))
    sizes = jnp.sum(jnp.square(missing).reshape(len(codes), -1), axis=1)[:, None]
    scores, places = [], []
    for call, (x, slope, move) in enumerate(zip(inputs, by_output, moves, strict=True)):
        change = jnp.where(_positive(call, x, flips), -_CHANGE, _CHANGE)
        explained = (slope * change * move).reshape(len(codes), -1) / sizes
        undecided = (jnp.abs(x) < UNDECIDED * jnp.abs(x).max()).reshape(explained.shape)
        score = jnp.where(undecided, jnp.abs(explained - 1), jnp.inf)
        scores.append(score.min(axis=1))
        places.append(score.argmin(axis=1))
    return gradient, jnp.stack(scores), jnp.stack(places)


def _positive(call: int, x: Any, flips: Any) -> Any:
    """Returns the signs of an activation's input, some of them flipped."""
    signs = (x > 0).reshape(len(x), -1)
    rows = jnp.arange(len(x))
    for calls, places in zip(flips[0].T, flips[1].T, strict=True):
        signs = signs.at[rows, places].set(signs[rows, places] ^ (calls == call))
    return signs.reshape(x.shape)


class _Watched:
    """Replaces the leaky ReLU by one with some signs flipped, and adds to its outputs."""

    def __init__(self, flips: Any, added: list[Any] | None) -> None:
        self.flips, self.added = flips, added
        self.inputs: list[Any] = []

    def __enter__(self) -> "_Watched":
        self.original = layers.ACTIVATIONS["lrelu"]
        layers.ACTIVATIONS["lrelu"] = (self._activate, self.original[1])
        return self

    def _activate(self, x: Any) -> Any:
        call = len(self.inputs)
        self.inputs.append(x)
        y = jnp.where(_positive(call, jax.lax.stop_gradient(x), self.flips), x, 0.2 * x)
        return y if self.added is None else y + self.added[call]

    def __exit__(self, *_: Any) -> None:
        layers.ACTIVATIONS["lrelu"] = self.original

"""Gradients with the sign of one activation set, where float32 cannot tell it."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent.generators import layers

UNDECIDED = 1e-6  # of a layer's largest input: below this, float32 does not know the sign
MOST = 3  # an activation may be undecided by chance, not many
Loss = Callable[[jax.Array], jax.Array]


def gradients_with_one_sign_set(loss: Loss, at: jax.Array) -> Iterator[jax.Array]:
    """Yields the gradient with each undecided leaky ReLU's sign set to + and to -."""

    @jax.jit
    def gradient(codes: jax.Array, call: int, place: int, sign: bool) -> jax.Array:
        def positive(now: int, x: jax.Array) -> jax.Array:
            forced = (x > 0).reshape(-1).at[place].set(sign).reshape(x.shape)
            return jnp.where(now == call, forced, x > 0)

        with _Watched(positive):
            return jax.grad(loss)(codes)

    undecided = _undecided(loss, at)
    for call, place in undecided if len(undecided) <= MOST else ():
        for sign in (True, False):
            yield gradient(at, call, place, sign)


def _undecided(loss: Loss, at: jax.Array) -> list[tuple[int, int]]:
    """Returns call and place of each activation whose input is 0 to within rounding."""

    def inputs(codes: jax.Array) -> list[jax.Array]:
        seen: list[jax.Array] = []

        def positive(_: int, x: jax.Array) -> jax.Array:
            seen.append(x)
            return x > 0

        with _Watched(positive):
            loss(codes)
        return seen

    sizes = [np.abs(np.asarray(x)).reshape(-1) for x in jax.jit(inputs)(at)]
    return [
        (call, int(place))
        for call, size in enumerate(sizes)
        for place in np.flatnonzero(size < UNDECIDED * size.max())
    ]


class _Watched:
    """Replaces the leaky ReLU by one that asks `positive(call number, input)` for the signs."""

    def __init__(self, positive: Callable[[int, jax.Array], jax.Array]) -> None:
        self.positive = positive

    def __enter__(self) -> None:
        self.original = layers.ACTIVATIONS["lrelu"]
        calls = iter(range(10_000))

        def activate(x: jax.Array) -> jax.Array:
            return jnp.where(self.positive(next(calls), jax.lax.stop_gradient(x)), x, 0.2 * x)

        layers.ACTIVATIONS["lrelu"] = (activate, self.original[1])

    def __exit__(self, *_: Any) -> None:
        layers.ACTIVATIONS["lrelu"] = self.original

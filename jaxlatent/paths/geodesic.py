"""Shortest paths by what they change in the output: Shao et al., arXiv:1711.08014."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.paths.lines import Codes, lerp


@dataclass(frozen=True, eq=False)
class Geodesic:
    """A shortest path as it was found.

    Attributes:
        points: codes on the path, the ends included.
        energy: half the sum of squared steps of the output, over the time of a step.
        straight_energy: of the straight line, never less.
    """

    points: Float[Array, "p *c"]
    energy: float
    straight_energy: float


def geodesic(
    function: Callable[..., Array],
    start: Codes,
    end: Codes,
    *arguments: Any,
    points: int = 16,
    steps: int = 100,
) -> Geodesic:
    r"""Finds a path along which the output changes as evenly and as little as possible.

    Minimises the energy $\frac{1}{2 \delta t} \sum_i \|g(z_{i+1}) - g(z_i)\|^2$ of a path with
    fixed ends, $\delta t = 1 / (p - 1)$, by L-BFGS from the straight line. Straight lines are
    nearly geodesic in many generators: expect a small gain.

    Args:
        function: `function(codes, *arguments)`, from [p, ...] codes to outputs [p, ...] such as
            images or features.
        start: a code.
        end: a code of the same shape.
        *arguments: pytrees such as a generator, which `function` gets.
        points: number of points `p`, at least 3.
        steps: number of iterations.

    Raises:
        UserError: if the ends have different shapes or are not finite, or a number is out of range.

    References:
        Shao, Kumar and Fletcher, "The Riemannian Geometry of Deep Generative Models", CVPR
        workshops 2018, arXiv:1711.08014.

    Example:
        >>> def surface(codes):
        ...     return jnp.stack([codes[:, 0], codes[:, 1], jnp.sin(3 * codes[:, 0])], axis=1)
        >>> found = geodesic(surface, jnp.zeros(2), jnp.array([1.0, 0.0]), points=8)
        >>> bool(found.energy < found.straight_energy)
        True
    """
    points, steps = operator.index(points), operator.index(steps)
    if points < 3 or steps < 1:
        raise UserError(f"points must be at least 3 and steps 1, got {points} and {steps}")
    for name, code in (("start", start), ("end", end)):
        if not np.isfinite(np.asarray(code)).all():
            raise UserError(f"the {name} holds numbers that are not finite")
    straight = lerp(start, end, jnp.linspace(0, 1, points))
    straight = straight.at[0].set(start).at[-1].set(end)
    path, energy, first = _relax(function, straight, arguments, steps)
    return Geodesic(path, float(energy), float(first))


@partial(jax.jit, static_argnames=("function", "steps"))
def _relax(
    function: Callable[..., Array], path: Float[Array, "p *c"], arguments: tuple, steps: int
) -> tuple[Float[Array, "p *c"], Float[Array, ""], Float[Array, ""]]:
    start, end = path[:1], path[-1:]

    def energy(inner: Array) -> Float[Array, ""]:
        outputs = function(jnp.concatenate([start, inner, end]), *arguments)
        return 0.5 * (path.shape[0] - 1) * jnp.sum(jnp.square(outputs[1:] - outputs[:-1]))

    optimiser = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(energy)

    def step(_: Array, carry: tuple) -> tuple:
        inner, state, best, least = carry
        value, gradient = value_and_grad(inner, state=state)
        updates, state = optimiser.update(
            gradient, state, inner, value=value, grad=gradient, value_fn=energy
        )
        inner = optax.apply_updates(inner, updates)
        value = optax.tree.get(state, "value")
        better = value < least
        return inner, state, jnp.where(better, inner, best), jnp.where(better, value, least)

    inner = path[1:-1]
    first = energy(inner)
    carry = (inner, optimiser.init(inner), inner, first)
    _, _, best, least = jax.lax.fori_loop(0, steps, step, carry)
    return jnp.concatenate([start, best, end]), least, first

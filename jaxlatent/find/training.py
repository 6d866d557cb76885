"""Training by Adam: one jitted step in a loop, and a key for each sample."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from jaxlatent.errors import UserError
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress

_Function = Callable[[Any, Any, Any], Any]  # of parameters, context and a key for each sample

_LOOKED_AFTER = 20  # steps: waiting for each loss would keep the device idle


@dataclass(frozen=True)
class Training:
    """How long and how fast to train, by Adam.

    Attributes:
        steps: number of steps.
        batch: samples in a step.
        learning_rate: of Adam.

    Example:
        >>> Training(steps=0, batch=-1)
        Traceback (most recent call last):
        jaxlatent.errors.UserError: steps must be at least 1, got 0; batch must be at least 1, got -1
    """  # noqa: E501

    steps: int = 1000
    batch: int = 8
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, got {value}"
            for name, value in (("steps", self.steps), ("batch", self.batch))
            if operator.index(value) < 1
        ]
        if not 0 < self.learning_rate < float("inf"):
            problems.append(f"learning_rate must be positive, got {self.learning_rate}")
        if problems:
            raise UserError("; ".join(problems))


def train(
    loss: _Function,
    parameters: Any,
    context: Any,
    key: AnyKey,
    training: Training,
    progress: Progress | None = None,
    isotropic: bool = False,
) -> tuple[Any, Float[np.ndarray, " steps"]]:
    """Minimises `loss` by Adam: a Python loop over one jitted step.

    The sample numbered `step * batch + i` has a key of its own, whatever the batch.

    Args:
        loss: function of the parameters, the context and one key for each sample; compiled once,
            so it must be a function of a module, not one made on the fly.
        parameters: where to start, a pytree.
        context: what is not trained, a pytree.
        key: randomness.
        training: how long and how fast.
        progress: called with the steps done and their number.
        isotropic: whether `parameters` are vectors [k, ...] in latent space, see `vector_adam`.

    Returns:
        The parameters, and the loss of every step.

    Raises:
        UserError: if the loss stops being finite.
    """
    key, rate = base_key(key), jnp.float32(training.learning_rate)
    state = _optimiser(training.learning_rate, isotropic).init(parameters)
    losses: list[Array] = []
    for i in range(training.steps):
        start = jnp.int32(i * training.batch)
        parameters, state, value = _step(
            loss, parameters, state, context, key, start, rate, training.batch, isotropic
        )
        losses.append(value)
        if (i + 1) % _LOOKED_AFTER == 0 or i + 1 == training.steps:
            _check_finite(losses, training)
        if progress is not None:
            progress(i + 1, training.steps)
    return parameters, np.asarray(jnp.stack(losses))


def _check_finite(losses: list[Array], training: Training) -> None:
    """Waits for the steps begun, and raises `UserError` if a loss since the last look is odd."""
    start = (len(losses) - 1) // _LOOKED_AFTER * _LOOKED_AFTER
    finite = np.isfinite(jax.device_get(losses[start:]))
    if not finite.all():
        raise UserError(
            f"the loss is not finite from step {start + int(np.argmin(finite))} on; lower "
            f"learning_rate, which is {training.learning_rate}, or look at the scorer or distance"
        )


@partial(jax.jit, static_argnames=("loss", "batch", "isotropic"))
def _step(
    loss: _Function,
    parameters: Any,
    state: Any,
    context: Any,
    key: Key[Array, ""],
    start: Array,
    rate: Array,
    batch: int,
    isotropic: bool,
) -> tuple[Any, Any, Array]:
    keys = per_index(key, start + jnp.arange(batch))
    value, gradient = jax.value_and_grad(loss)(parameters, context, keys)
    updates, state = _optimiser(rate, isotropic).update(gradient, state)
    return optax.apply_updates(parameters, updates), state, value


def _optimiser(rate: Any, isotropic: bool) -> optax.GradientTransformation:
    return vector_adam(rate) if isotropic else optax.adam(rate)


def vector_adam(rate: Any) -> optax.GradientTransformation:
    """Adam with one second moment for each vector of an array [k, ...], not one for each number.

    Its steps turn with the axes of latent space, which mean nothing: what no sample asks for, a
    walk does not get. Adam's own follow the gradients' signs and add to a walk what nothing sees.

    Args:
        rate: the learning rate.

    Example:
        >>> adam = vector_adam(0.1)
        >>> gradient = jnp.array([[3.0, 4.0]])
        >>> [round(float(x), 4) for x in adam.update(gradient, adam.init(gradient))[0][0]]
        [-0.0849, -0.1131]
    """

    def init(vectors: Array) -> tuple[Array, Array, Array]:
        square = jnp.zeros((vectors.shape[0], *[1] * (vectors.ndim - 1)))
        return jnp.zeros((), jnp.int32), jnp.zeros_like(vectors), square

    def update(gradient: Array, state: Any, _: Any = None) -> tuple[Array, Any]:
        count, first, second = state
        count = count + 1
        axes = tuple(range(1, gradient.ndim))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * jnp.mean(jnp.square(gradient), axes, keepdims=True)
        size = jnp.sqrt(second / (1 - 0.999**count)) + 1e-8
        return -rate * first / (1 - 0.9**count) / size, (count, first, second)

    return optax.GradientTransformation(init, update)


def measure(
    function: _Function, parameters: Any, context: Any, key: AnyKey, training: Training, n: int
) -> list[Any]:
    """Returns what `function`, called as a loss is, makes of samples that a training has not seen.

    Args:
        function: a function of a module.
        parameters: of the training.
        context: of the training.
        key: of the training.
        training: the training.
        n: number of samples, taken 16 at a time, each time with one result.
    """
    used, key = training.steps * training.batch, base_key(key)
    starts = range(used, used + n, 16)
    found = [_call(function, parameters, context, key, jnp.int32(start)) for start in starts]
    return jax.device_get(found)


@partial(jax.jit, static_argnames="function")
def _call(
    function: _Function, parameters: Any, context: Any, key: Key[Array, ""], start: Array
) -> Any:
    return function(parameters, context, per_index(key, start + jnp.arange(16)))


def tenths(history: Float[np.ndarray, " steps"]) -> list[float]:
    """Returns the mean losses of ten stretches of a training, to be kept with its result.

    Example:
        >>> tenths(np.array([4.0, 2.0]))
        [4.0, 2.0]
    """
    return [float(part.mean()) for part in np.array_split(history, min(10, len(history)))]


def per_index(key: AnyKey, index: Int[Array, " n"]) -> Key[Array, " n"]:
    """Returns the keys of the samples numbered `index`."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, index)


def base_key(key: AnyKey) -> Key[Array, ""]:
    """Returns one typed key.

    Raises:
        UserError: if it is not one key.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if key.ndim:
        raise UserError(f"one key is needed, got {key.shape}")
    return key


def start_values(key: Key[Array, ""]) -> np.random.Generator:
    """Returns a source of starting values that a key decides, which compiles nothing."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))

"""What the finders that are trained share: samples, vectors on chosen layers, one jitted loop."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.base import class_weights
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress

_Function = Callable[[Any, Any, Any], Any]  # of parameters, context and a key for each sample
Scorer = Callable[[Any], Any]  # images [n, h, w, c] -> one number for each


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


def argument(function: Callable[..., Any]) -> Any:
    """Returns a callable as a pytree, to be passed to `jax.jit` as an argument.

    A module keeps its weights as leaves, so that they are no constants of the program; a plain
    function becomes part of the program's signature.

    Example:
        >>> jax.jit(lambda f, x: f(x))(argument(jnp.sin), 0.0).item()
        0.0
    """
    if jax.tree_util.treedef_is_leaf(jax.tree.structure(function)):
        return jax.tree_util.Partial(function)
    return function


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Samples:
    """Codes to train or measure with, their classes, and the generator that renders them.

    Attributes:
        generator: the generator.
        codes: a row for each layer.
        label: classes, if the synthesis reads them.
        layers: numbers of the layers that may move.
    """

    generator: Generator
    codes: Float[Array, "n L d"]
    label: Any
    layers: Int[Array, " m"]

    @classmethod
    def of(
        cls,
        generator: Generator,
        codes: Float[Any, "n L d"],
        label: Labels | None = None,
        layers: Sequence[int] | None = None,
    ) -> "Samples":
        """Checks all four against each other, before anything is computed.

        Raises:
            UserError: if there are no codes, or something does not fit the generator.
        """
        generator.check_codes(codes)
        if not codes.shape[0]:
            raise UserError("codes must not be empty")
        if label is not None:
            if not generator.num_classes:
                raise UserError("this generator is not conditional; give no label")
            label = jnp.asarray(label)
            whole = label.ndim == 1 and jnp.issubdtype(label.dtype, jnp.integer)
            if whole and label.shape == codes.shape[:1]:  # one row a class is enough to check
                classes = np.unique(label)
                class_weights(jnp.asarray(classes), len(classes), generator.num_classes)
            else:
                label = class_weights(label, codes.shape[0], generator.num_classes)
        chosen = jnp.asarray(generator.select_layers(layers))
        samples = cls(generator, jnp.asarray(codes), label, chosen)
        jax.eval_shape(lambda s: s.render(*s.at(jnp.zeros(1, jnp.int32))), samples)
        return samples

    def at(self, index: Int[Array, " b"]) -> tuple[Float[Array, "b L d"], Any]:
        """Returns the codes and classes of the samples at `index`."""
        return self.codes[index], None if self.label is None else self.label[index]

    def draw(
        self, keys: Key[Array, " b"], count: int
    ) -> tuple[Int[Array, " b"], Float[Array, "b count"]]:
        """Draws for each key the number of a code, and `count` numbers in [0, 1).

        All from one call, as each call of a random function takes a while to compile.
        """
        bits = jax.vmap(lambda key: jax.random.bits(key, (1 + count,)))(keys)
        index = (bits[:, 0] % self.codes.shape[0]).astype(jnp.int32)
        return index, (bits[:, 1:] >> 8).astype(jnp.float32) / (1 << 24)

    def render(self, codes: Float[Array, "b L d"], label: Any = None) -> Float[Array, "b h w c"]:
        """Renders codes, with the generator's constant noise."""
        return self.generator.synthesize(codes, label=label)

    def place(self, vectors: Float[Array, "k m d"]) -> Float[Array, "k L d"]:
        """Puts vectors, one for all or one for each of the layers that may move, into codes."""
        k, _, d = vectors.shape
        rows = jnp.broadcast_to(vectors, (k, self.layers.shape[0], d))
        return jnp.zeros((k, self.codes.shape[1], d), rows.dtype).at[:, self.layers].set(rows)

    def rows(self, shared: bool) -> int:
        """Returns how many rows a direction has: one for all layers, or one for each that moves."""
        return 1 if shared else self.layers.shape[0]


def per_index(key: AnyKey, index: Int[Array, " n"]) -> Key[Array, " n"]:
    """Returns the keys of the samples numbered `index`."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, index)


def start_values(key: Key[Array, ""]) -> np.random.Generator:
    """Returns a source of starting values that a key decides, which compiles nothing."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


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
    losses = []
    for i in range(training.steps):
        start = jnp.int32(i * training.batch)
        parameters, state, value = _step(
            loss, parameters, state, context, key, start, rate, training.batch, isotropic
        )
        losses.append(value)
        if progress is not None:
            progress(i + 1, training.steps)
    history = np.asarray(jnp.stack(losses))
    if not np.isfinite(history).all():
        first = int(np.argmin(np.isfinite(history)))
        raise UserError(
            f"the loss is not finite from step {first} on; lower learning_rate, which is "
            f"{training.learning_rate}, or look at the scorer or distance"
        )
    return parameters, history


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


def with_length_of(
    codes: Float[Array, "n L d"], moved: Float[Array, "n L d"]
) -> Float[Array, "n L d"]:
    """Scales each row of `moved` to the length of the row of `codes`, unless either is zero.

    Example:
        >>> with_length_of(jnp.array([[[10.0, 0.0]]]), jnp.array([[[3.0, 4.0]]])).tolist()
        [[[6.0, 8.0]]]
    """
    wanted, got = (jnp.sum(jnp.square(c), axis=-1, keepdims=True) for c in (codes, moved))
    some = (wanted > 0) & (got > 0)
    return moved * jnp.sqrt(jnp.where(some, wanted, 1) / jnp.where(some, got, 1))


def tenths(history: Float[np.ndarray, " steps"]) -> list[float]:
    """Returns the mean losses of ten stretches of a training, to be kept with its result.

    Example:
        >>> tenths(np.array([4.0, 2.0]))
        [4.0, 2.0]
    """
    return [float(part.mean()) for part in np.array_split(history, min(10, len(history)))]


def learned(
    samples: Samples,
    walks: Float[Any, "k m d"],
    scores: Float[Any, " k"],
    names: Sequence[str],
    layers: Sequence[int] | None,
    **fields: Any,
) -> Directions:
    """Returns trained walks as directions, best score first.

    A walk's length becomes the direction's unit: an edit by 1 moves a code by the walk.

    Raises:
        UserError: if a walk has no length.
    """
    walks, scores = np.asarray(walks, np.float64), np.asarray(scores, np.float32)
    lengths = np.sqrt(np.sum(np.square(walks), axis=(1, 2)))
    dead = [name for name, length in zip(names, lengths, strict=True) if not length > 0]
    if dead:
        raise UserError(f"nothing was found for {', '.join(dead)}: nothing changes along the codes")
    found = Directions.of(
        (walks / lengths[:, None, None]).astype(np.float32),
        scores,
        scale=lengths.astype(np.float32),
        names=tuple(names),
        **fields,
    )
    return found[np.argsort(-scores, kind="stable")].bind(samples.generator, layers)

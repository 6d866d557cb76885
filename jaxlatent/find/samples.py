"""Codes with the generator that renders them: what finders measure and train with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.base import class_weights

Scorer = Callable[[Any], Any]  # images [n, h, w, c] -> one number for each


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
        codes = jnp.asarray(codes)
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
        samples = cls(generator, codes, label, chosen)
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

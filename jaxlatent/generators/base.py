"""What every generator is: a function from one latent code per layer to images."""

import operator
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxlatent.errors import UserError
from jaxlatent.keys import AnyKey, per_sample
from jaxlatent.model import Model

Noise = Literal["const", "none", "random"] | Sequence[Array]
Size = Any  # of a batch: a number, or a symbol while a program is exported
Labels = Int[Array, " n"] | Float[Array, "n classes"]

MAX_SIDE = 1 << 14  # pixels; what a config asks for beyond these is a mistake
MAX_LAYERS = 64


class State(NamedTuple):
    """What a block hands to the next one.

    Attributes:
        features: activations [n, h, w, c].
        image: the image so far, in generators that sum it up over the blocks.
    """

    features: Array
    image: Array | None = None


class Generator(Model):
    """A GAN's generator; pure at call, a pytree, to be passed to `jax.jit` as an argument.

    The same calls work for every family. A code has one row for each layer, `[n, L, d]`; a family
    that reads its latent vector once has `L = 1`.

    A family defines `prepare`, `start`, `block` and `finish`; synthesis is their composition.
    """

    @property
    def z_dim(self) -> int:
        """Size of a latent vector z."""
        return self.config.z_dim

    @property
    @abstractmethod
    def num_layers(self) -> int:
        """Number of layers L that read a code."""

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""

    @property
    @abstractmethod
    def spaces(self) -> dict[str, tuple[int, int]]:
        """The latent spaces by name, each with the layers and the width of its codes."""

    @property
    @abstractmethod
    def code_mean(self) -> Float[Array, "l d"]:
        """The mean code, towards which truncation moves; one row, or one for each layer."""

    @abstractmethod
    def map(self, z: Float[Array, "n z"], label: Labels | None = None) -> Float[Array, "n d"]:
        """Maps latent vectors z to w; the identity where there is no mapping network.

        Args:
            z: latent vectors, drawn from N(0, 1).
            label: classes of a conditional generator, as integers or as weights [n, classes].
        """

    @property
    @abstractmethod
    def num_blocks(self) -> int:
        """Number of blocks that synthesis passes through, one after the other."""

    @abstractmethod
    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Any:
        """Returns all that the blocks read beside their state; arguments as of `synthesize`."""

    @abstractmethod
    def start(self, inputs: Any) -> State:
        """Returns the state before the first block, from what `prepare` returned."""

    @abstractmethod
    def block(self, index: int, state: State, inputs: Any) -> State:
        """Applies one block."""

    @property
    def num_steps(self) -> int:
        """Number of steps that the blocks consist of: several where a block reads several codes.

        A sweep of late layers renders the steps before them once for each code.
        """
        return self.num_blocks

    def step(self, index: int, state: State, inputs: Any) -> State:
        """Applies one step; all in turn are the blocks in turn, which a family has to see to."""
        return self.block(index, state, inputs)

    @abstractmethod
    def finish(self, state: State, inputs: Any) -> Float[Array, "n h w c"]:
        """Makes the image of the last state."""

    def synthesize(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Float[Array, "n h w c"]:
        """Renders images, in [-1, 1] except for a generator whose output has no bound.

        Args:
            codes: one row for each layer.
            noise: "const" adds the stored maps, "none" nothing, "random" fresh ones from `key`;
                or the maps themselves. Without effect in a generator that has no noise.
            key: for random noise: one key, or one for each sample.
            label: classes, for generators whose synthesis reads them.
        """
        inputs = self.prepare(codes, noise, key, label)
        return self.finish(self._pass(self.num_blocks, inputs), inputs)

    def features(
        self,
        codes: Float[Array, "n L d"],
        block: int,
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Float[Array, "n h w c"]:
        """Returns the activations after a block.

        Args:
            codes: one row for each layer.
            block: the block's number; those of `num_blocks - 1` go into the image.
            noise: as in `synthesize`.
            key: as in `synthesize`.
            label: as in `synthesize`.
        """
        if not 0 <= block < self.num_blocks:
            raise UserError(f"block must be in 0 to {self.num_blocks - 1}, got {block}")
        return self._pass(block + 1, self.prepare(codes, noise, key, label)).features

    def _pass(self, blocks: int, inputs: Any) -> State:
        state = self.start(inputs)
        for index in range(blocks):
            state = self.block(index, state, inputs)
        return state

    @abstractmethod
    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns for each layer the matrix that first reads its code, one row an output.

        Args:
            layers: the layers asked for; `None` for all.
        """

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 if the generator is not conditional."""
        return 0

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """Sides in pixels of the noise maps that are added; empty if there is no noise."""
        return ()

    @property
    def code_dim(self) -> int:
        """Width d of a code."""
        return list(self.spaces.values())[-1][1]

    def sample_z(self, key: AnyKey, n: int) -> Float[Array, "n z"]:
        """Draws `n` latent vectors by `draw`, each from a key of its own.

        Args:
            key: one key, folded with the sample's index, or one key for each sample.
            n: number of samples; the first ones do not depend on it.
        """
        if n < 0:
            raise UserError(f"n must not be negative, got {n}")
        return jax.vmap(self.draw)(per_sample(key, n))

    def draw(self, key: Key[Array, ""]) -> Float[Array, " z"]:
        """Draws one latent vector from the distribution of z, N(0, 1) in most families."""
        return jax.random.normal(key, (self.z_dim,))

    def broadcast(self, w: Float[Array, "n d"]) -> Float[Array, "n L d"]:
        """Gives every layer the same code."""
        check_rows("w", w, (self.code_dim,))
        return jnp.broadcast_to(w[:, None], (w.shape[0], self.num_layers, w.shape[1]))

    def truncate(
        self, codes: Float[Array, "n L d"], psi: float | Array, cutoff: int | None = None
    ) -> Float[Array, "n L d"]:
        """Moves codes towards the mean code: `mean + psi * (codes - mean)`.

        Args:
            codes: one row for each layer.
            psi: 1 keeps the codes, 0 gives the mean; other values are legal.
            cutoff: how many of the first layers are moved; `None` for all.
        """
        self.check_codes(codes)
        if cutoff is not None and not 0 <= cutoff <= self.num_layers:
            raise UserError(f"cutoff must be in [0, {self.num_layers}], got {cutoff}")
        mean = self.code_mean.astype(codes.dtype)[None]
        moved = mean + psi * (codes - mean)
        if cutoff is None:
            return moved
        return jnp.concatenate([moved[:, :cutoff], codes[:, cutoff:]], axis=1)

    def check_codes(self, codes: Array) -> None:
        """Raises `UserError` unless `codes` has a row of the right width for every layer."""
        hint = "; generator.broadcast(w) makes a row for each layer from w"
        check_rows("codes", codes, (self.num_layers, self.code_dim), hint)

    def check_z(self, z: Array, name: str = "z") -> None:
        """Raises `UserError` unless `z`, called `name`, has rows of the right width."""
        check_rows(name, z, (self.z_dim,))

    def select_layers(self, layers: Sequence[int] | None) -> tuple[int, ...]:
        """Returns `layers` checked, or all layers if it is `None`."""
        if layers is None:
            return tuple(range(self.num_layers))
        chosen = tuple(operator.index(i) for i in layers)
        if not chosen or not 0 <= min(chosen) <= max(chosen) < self.num_layers:
            raise UserError(f"layers must be in 0 to {self.num_layers - 1}, got {list(chosen)}")
        return chosen


def check_rows(what: str, array: Array, shape: tuple[int, ...], hint: str = "") -> None:
    """Raises `UserError` unless `array` has rows of this shape, of a floating type."""
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        expected = ", ".join(str(size) for size in ("n", *shape))
        raise UserError(f"{what} must have the shape [{expected}], got {list(array.shape)}{hint}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(f"{what} must be of a floating type, got {array.dtype}")


def check_noise(noise: Noise) -> None:
    """Raises `UserError` if `noise` is a word that means nothing."""
    if isinstance(noise, str) and noise not in ("const", "none", "random"):
        raise UserError(f"noise must be const, none, random or maps, got {noise!r}")


def class_weights(label: Labels | None, n: Size, classes: int) -> Float[Array, "n classes"]:
    """Returns labels as weights over the classes: integers become one-hot rows.

    Args:
        label: integers [n], or weights [n, classes], which pass as they are. In a traced program
            integers have no values to check: one out of range becomes a row of zeros.
        n: number of samples.
        classes: number of classes of the generator.

    Raises:
        UserError: if a label is missing or has the wrong shape.

    Example:
        >>> class_weights(jnp.array([1, 0]), 2, 3).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    if label is None:
        raise UserError(
            f"this generator is conditional: give a label, integers in 0 to {classes - 1} or "
            f"weights of shape [{n}, {classes}]"
        )
    label = jnp.asarray(label)
    if label.shape not in ((n,), (n, classes)):
        raise UserError(
            f"labels must be {n} integers or weights [{n}, {classes}], got {list(label.shape)}"
        )
    if label.ndim == 2:
        return label
    if not jnp.issubdtype(label.dtype, jnp.integer):
        raise UserError(f"labels of shape [{n}] must be integers, got {label.dtype}")
    if not isinstance(label, jax.core.Tracer) and n:
        values = np.asarray(label)  # not in JAX, which would trace the comparison
        if not 0 <= values.min() <= values.max() < classes:
            raise UserError(f"labels must be in 0 to {classes - 1}, got {values.tolist()}")
    return jax.nn.one_hot(label, classes)

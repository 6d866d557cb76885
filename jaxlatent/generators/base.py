"""What every generator is: a function from one latent code per layer to images."""

import operator
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxlatent.errors import UserError
from jaxlatent.keys import AnyKey, per_sample

Noise = Literal["const", "none", "random"] | Sequence[Array]
Labels = Int[Array, " n"] | Float[Array, "n classes"]

MAX_SIDE = 1 << 14  # pixels; what a config asks for beyond these is a mistake
MAX_LAYERS = 64


class Buffer(nnx.Variable):
    """A stored array that is not trained: statistics, constant noise, averages."""


@dataclass(frozen=True)
class Origin:
    """Where a generator's weights came from.

    Attributes:
        format: the checkpoint format's name.
        file: the file's name, without its folder.
        sha256: of the file, in hexadecimal.
        license: what is known about the licence of such files.
    """

    format: str
    file: str
    sha256: str
    license: str


class Generator(nnx.Module):
    """A GAN's generator; pure at call, a pytree, to be passed to `jax.jit` as an argument.

    The same calls work for every family. A code has one row for each layer, `[n, L, d]`; a family
    that reads its latent vector once has `L = 1`.

    Attributes:
        family: the family's name, as in a bundle's `config.json`.
        config: a frozen dataclass from which the module can be built.
        origin: where the weights came from, if they were converted.
    """

    family: ClassVar[str]
    config: Any
    origin: Origin | None = None

    @property
    @abstractmethod
    def z_dim(self) -> int:
        """Size of a latent vector z."""

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

    @abstractmethod
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
            noise: "const", "none", "random", or the noise maps themselves.
            key: for random noise: one key, or one for each sample.
            label: classes, for generators whose synthesis reads them.
        """

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
    def code_dim(self) -> int:
        """Width d of a code."""
        return list(self.spaces.values())[-1][1]

    def sample_z(self, key: AnyKey, n: int) -> Float[Array, "n z"]:
        """Draws `n` latent vectors from N(0, 1), each from a key of its own.

        Args:
            key: one key, folded with the sample's index, or one key for each sample.
            n: number of samples; the first ones do not depend on it.
        """
        if n < 0:
            raise UserError(f"n must not be negative, got {n}")
        return jax.vmap(lambda k: jax.random.normal(k, (self.z_dim,)))(per_sample(key, n))

    def broadcast(self, w: Float[Array, "n d"]) -> Float[Array, "n L d"]:
        """Gives every layer the same code."""
        _check_rows("w", w, (self.code_dim,))
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
        _check_rows("codes", codes, (self.num_layers, self.code_dim), hint)

    def check_z(self, z: Array) -> None:
        """Raises `UserError` unless `z` has rows of the right width."""
        _check_rows("z", z, (self.z_dim,))

    def select_layers(self, layers: Sequence[int] | None) -> tuple[int, ...]:
        """Returns `layers` checked, or all layers if it is `None`."""
        if layers is None:
            return tuple(range(self.num_layers))
        chosen = tuple(operator.index(i) for i in layers)
        if not chosen or not 0 <= min(chosen) <= max(chosen) < self.num_layers:
            raise UserError(f"layers must be in 0 to {self.num_layers - 1}, got {list(chosen)}")
        return chosen


def _check_rows(what: str, array: Array, shape: tuple[int, ...], hint: str = "") -> None:
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        expected = ", ".join(str(size) for size in ("n", *shape))
        raise UserError(f"{what} must have the shape [{expected}], got {list(array.shape)}{hint}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(f"{what} must be of a floating type, got {array.dtype}")


def check_noise(noise: Noise) -> None:
    """Raises `UserError` if `noise` is a word that means nothing."""
    if isinstance(noise, str) and noise not in ("const", "none", "random"):
        raise UserError(f"noise must be const, none, random or maps, got {noise!r}")


def class_weights(label: Labels | None, n: int, classes: int) -> Float[Array, "n classes"]:
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
    if isinstance(label, jax.core.Tracer) or not n:
        return jax.nn.one_hot(label, classes)
    if not 0 <= label.min() <= label.max() < classes:
        raise UserError(f"labels must be in 0 to {classes - 1}, got {label.tolist()}")
    return jax.nn.one_hot(label, classes)

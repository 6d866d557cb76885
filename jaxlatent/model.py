"""What every network of the library is: a Flax module with a family, a config and an origin."""

from dataclasses import dataclass
from typing import Any, ClassVar

from flax import nnx


class Buffer(nnx.Variable):
    """A stored array that is not trained: statistics, constant noise, averages."""


@dataclass(frozen=True)
class Origin:
    """Where a network's weights came from.

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


class Model(nnx.Module):
    """A network; pure at call, a pytree, to be passed to `jax.jit` as an argument.

    Attributes:
        family: the family's name, as in a bundle's `config.json`.
        config: a frozen dataclass from which the module can be built.
        origin: where the weights came from, if they were converted.
    """

    family: ClassVar[str]
    config: Any
    origin: Origin | None = None

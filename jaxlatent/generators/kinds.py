"""What generators that read z once have in common, and those with a mapping network."""

from abc import abstractmethod
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.base import Generator, Labels, class_weights


class PlainGenerator(Generator):
    """A generator whose one code is z itself; a class, if there is one, is read in synthesis."""

    @property
    def num_layers(self) -> int:
        """Always 1: the first layer reads the code."""
        return 1

    @property
    def spaces(self) -> dict[str, tuple[int, int]]:
        """Only z, with one layer."""
        return {"z": (1, self.z_dim)}

    @property
    def code_mean(self) -> Float[Array, "l d"]:
        """Zero, the mean of z."""
        return jnp.zeros((1, self.z_dim))

    def map(self, z: Float[Array, "n z"], label: Labels | None = None) -> Float[Array, "n d"]:
        """Returns `z`: there is no mapping network; a label is only checked."""
        self.check_z(z)
        if label is not None:
            self.class_weights(label, z)
        return z

    def class_weights(
        self, label: Labels | None, z: Float[Array, "n z"]
    ) -> Float[Array, "n classes"] | None:
        """Returns a label as weights over the classes; `None` if there are no classes."""
        if self.num_classes:
            return class_weights(label, z.shape[0], self.num_classes).astype(z.dtype)
        if label is not None:
            raise UserError("this generator is not conditional; give no label")
        return None


class StyleBasedGenerator(Generator):
    """A generator with a mapping network, `mapping`, and a code in W for each layer."""

    mapping: Any

    @abstractmethod
    def styles(self, codes: Float[Array, "n L d"]) -> Any:
        """Returns a tree of what each layer's affine map makes of its code, [n, channels] each.

        What `prepare` returns holds the same tree as `styles`.
        """

    @property
    def rgb_styles(self) -> frozenset[str]:
        """Paths, in the tree of `styles`, of those that make colours of the features."""
        return frozenset()

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 if the generator is not conditional."""
        return self.config.c_dim

    @property
    def spaces(self) -> dict[str, tuple[int, int]]:
        """Z, W (one code) and W+ (one for each layer)."""
        width = self.config.w_dim
        return {"z": (1, self.z_dim), "w": (1, width), "w+": (self.num_layers, width)}

    @property
    def code_mean(self) -> Float[Array, "l d"]:
        """The mean of w over the training's samples."""
        if self.mapping.w_avg is None:
            raise UserError("this generator has no mean w, so its codes cannot be truncated")
        return self.mapping.w_avg[...].reshape(-1, self.config.w_dim)

    def map(self, z: Float[Array, "n z"], label: Labels | None = None) -> Float[Array, "n d"]:
        """Maps z (and a class) to w."""
        self.check_z(z)
        return self.mapping(z, label)

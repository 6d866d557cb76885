"""InfoGAN: a DCGAN whose latent vector has parts with a meaning (Chen et al., arXiv:1606.03657)."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxlatent.errors import UserError
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(DCGANConfig):
    """Geometry of the stack, as of a DCGAN, and the parts of its latent vector, in this order.

    Attributes:
        num_noise: numbers without a meaning.
        categorical: number of categories of each categorical code.
        num_continuous: number of continuous codes.
    """

    num_noise: int
    categorical: tuple[int, ...]
    num_continuous: int

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = (self.num_noise, *self.categorical, self.num_continuous)
        if min(self.num_noise, self.num_continuous) < 0 or min(self.categorical, default=1) < 1:
            raise UserError(f"the parts of a latent vector must not be negative, got {parts}")
        if sum(parts) != self.z_dim:
            raise UserError(
                f"noise, categorical and continuous codes of the sizes {parts} are {sum(parts)} "
                f"numbers; the first layer takes {self.z_dim}"
            )


class InfoGAN(DCGAN):
    """A DCGAN with a latent vector of noise, one-hot categories and continuous codes.

    Example:
        >>> from flax import nnx
        >>> config = InfoGANConfig(9, (4, 1), (4, 4), (1, 2), (0, 1), (0, 0), (False,) * 2,
        ...                        (True, False), num_noise=5, categorical=(3,), num_continuous=1)
        >>> generator = InfoGAN(config, rngs=nnx.Rngs(0))
        >>> z = generator.sample_z(jax.random.key(0), 2)
        >>> z[:, generator.code_parts["categorical 0"]].sum(axis=1).tolist()
        [1.0, 1.0]
    """

    family: ClassVar[str] = "infogan"
    config: InfoGANConfig

    @property
    def code_parts(self) -> dict[str, slice]:
        """Where each part of a latent vector is: "noise", "categorical 0", "continuous 0", ..."""
        sizes = {"noise": self.config.num_noise}
        sizes |= {f"categorical {i}": size for i, size in enumerate(self.config.categorical)}
        sizes |= {f"continuous {i}": 1 for i in range(self.config.num_continuous)}
        parts, start = {}, 0
        for name, size in sizes.items():
            parts[name] = slice(start, start + size)
            start += size
        return parts

    @property
    def code_mean(self) -> Float[Array, "l d"]:
        """The mean of z: zero, but equal shares of all categories."""
        mean = jnp.zeros(self.z_dim)
        for name, part in self.code_parts.items():
            if name.startswith("categorical"):
                mean = mean.at[part].set(1 / (part.stop - part.start))
        return mean[None]

    def draw(self, key: Key[Array, ""]) -> Float[Array, " z"]:
        """Draws noise from N(0, 1), categories (one-hot) and continuous codes in [-1, 1] evenly."""
        sizes = self.config.categorical
        noise_key, codes_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, (self.config.num_noise,))
        codes = jax.random.uniform(codes_key, (len(sizes) + self.config.num_continuous,))
        categories = [
            jax.nn.one_hot(jnp.minimum((codes[i] * size).astype(int), size - 1), size)
            for i, size in enumerate(sizes)
        ]
        return jnp.concatenate([noise, *categories, 2 * codes[len(sizes) :] - 1])

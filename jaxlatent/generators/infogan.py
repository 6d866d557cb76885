"""InfoGAN: a DCGAN whose latent vector has parts with a meaning (Chen et al., arXiv:1606.03657)."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig
from jaxlatent.keys import AnyKey, per_sample


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

    def sample_z(self, key: AnyKey, n: int) -> Float[Array, "n z"]:
        """Draws noise from N(0, 1), categories (one-hot) and continuous codes in [-1, 1] evenly.

        Args:
            key: one key, folded with the sample's index, or one key for each sample.
            n: number of samples; the first ones do not depend on it.
        """
        if n < 0:
            raise UserError(f"n must not be negative, got {n}")
        sizes = self.config.categorical
        count = len(sizes) + self.config.num_continuous

        def draw(key: Array) -> tuple[Array, Array]:
            noise, codes = jax.random.split(key)
            return (
                jax.random.normal(noise, (self.config.num_noise,)),
                jax.random.uniform(codes, (count,)),
            )

        noise, codes = jax.vmap(draw)(per_sample(key, n))
        categories = [
            jax.nn.one_hot(jnp.minimum((codes[:, i] * size).astype(int), size - 1), size)
            for i, size in enumerate(sizes)
        ]
        return jnp.concatenate([noise, *categories, 2 * codes[:, len(sizes) :] - 1], axis=1)

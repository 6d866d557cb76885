"""Terms that keep codes and noise maps likely, whatever the image."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.generators.layers import PRECISION
from jaxlatent.invert.charts import unslope
from jaxlatent.invert.losses import View


def noise_correlation(view: View) -> Float[Array, " n"]:
    """Returns the squared correlation of noise maps with themselves, one pixel aside.

    Over a pyramid of each map down to 8 pixels, so that noise stays noise and holds no picture
    (StyleGAN2, arXiv:1912.04958, appendix D).
    """
    total = jnp.zeros(view.images.shape[0])
    for noise in view.noise:
        x = noise
        while True:
            for axis in (1, 2):
                total = total + jnp.square((x * jnp.roll(x, 1, axis)).mean((1, 2)))
            if x.shape[1] <= 8:
                break
            n, h, w = x.shape
            x = x.reshape(n, h // 2, 2, w // 2, 2).mean((2, 4))
    return total


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class NearMean:
    """Squared distance of the rows of codes from a mean.

    Attributes:
        mean: [d], or a row for each layer.
    """

    mean: Float[Any, "..."]

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        mean = jnp.broadcast_to(self.mean, view.code.shape)
        return jnp.square(view.code - mean).mean((1, 2))


def spread(view: View) -> Float[Array, " n"]:
    """Returns how far the rows of a code are from their mean, squared: 0 for a code of w."""
    centre = view.code.mean(1, keepdims=True)
    return jnp.square(view.code - centre).mean((1, 2))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class WPrior:
    """Squared length of w as PULSE whitens it: the slope undone, Gaussian, of unit deviation.

    Menon et al. 2020, arXiv:2003.03808; the linear part after Zhu et al. 2020, arXiv:2012.09036.

    Attributes:
        mean: of w with the last activation undone.
        whiten: matrix by which deviations from it are multiplied.
    """

    mean: Float[Any, " d"]
    whiten: Float[Any, "d d"]

    @classmethod
    def of(cls, w: Float[Any, "n d"]) -> "WPrior":
        """Fits the prior to samples of w."""
        x = np.asarray(unslope(jnp.asarray(w)), np.float64)
        values, vectors = np.linalg.eigh(np.cov(x.T))
        scale = 1 / np.sqrt(np.maximum(values, 1e-9 * values.max()))
        return cls(*(jnp.asarray(a, jnp.float32) for a in (x.mean(0), vectors * scale[None])))

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        x = unslope(view.code) - self.mean[None, None]
        return jnp.square(jnp.matmul(x, self.whiten, precision=PRECISION)).mean((1, 2))


def geocross(view: View) -> Float[Array, " n"]:
    r"""Returns how far the rows of a code are from each other on their sphere (PULSE).

    $\frac18\,\mathrm{mean}_{ij}\, d\,\theta_{ij}^2$, with the angles between all pairs of rows.
    Menon et al. 2020, arXiv:2003.03808.
    """
    a, b = view.code[:, None], view.code[:, :, None]
    apart, together = (
        jnp.sqrt(jnp.square(x).sum(-1) + 1e-9) for x in (a - b, a + b)
    )  # the constant keeps the gradient of equal rows finite
    angles = 2 * jnp.arctan2(apart, together)
    return jnp.square(angles).mean((1, 2)) * view.code.shape[2] / 8

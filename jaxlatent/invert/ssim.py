"""How alike images are: peak signal to noise, structural similarity at one and several scales.

Wang et al. 2004, doi:10.1109/TIP.2003.819861, and 2003, doi:10.1109/ACSSC.2003.1292216.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.invert.losses import View

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from the finest
_SIDE, _SIGMA = 11, 1.5  # of the Gaussian window
_RANGE = 2.0  # of pixels in [-1, 1]
_C1, _C2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2


def _blurred(x: Float[Array, "n h w c"]) -> Float[Array, "n _ _ c"]:
    """Averages over Gaussian windows that lie within the image."""
    places = np.arange(_SIDE) - _SIDE // 2
    taps = np.exp(-0.5 * np.square(places / _SIGMA))
    taps = taps / taps.sum()
    for axis in (1, 2):
        size = x.shape[axis] - _SIDE + 1
        parts = [
            float(tap) * jax.lax.slice_in_dim(x, i, i + size, axis=axis)
            for i, tap in enumerate(taps)
        ]
        x = sum(parts[1:], parts[0])
    return x


def _parts(
    a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]
) -> tuple[Float[Array, "n c"], Float[Array, "n c"]]:
    """Returns the means over pixels of similarity, and of its contrast and structure."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    contrast = (2 * both + _C2) / (var_a + var_b + _C2)
    whole = contrast * (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return whole.mean((1, 2)), contrast.mean((1, 2))


def psnr(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, " n"]:
    """Returns the ratio of peak signal to noise of pairs of images [n, h, w, c] in [-1, 1], in dB.

    At most 126 dB, for images that are the same. Clip images that go beyond the range.

    Raises:
        UserError: if their shapes differ, or pixels are whole numbers, such as 0 to 255.

    Example:
        >>> psnr(np.zeros((1, 2, 2, 3)), np.full((1, 2, 2, 3), 0.02)).round(3).tolist()
        [40.0]
    """
    if a.ndim != 4 or a.shape != b.shape:
        raise UserError(f"images must be two of [n, h, w, c], got {a.shape} and {b.shape}")
    if not all(np.issubdtype(images.dtype, np.floating) for images in (a, b)):
        raise UserError(f"pixels must be numbers in [-1, 1], got {a.dtype} and {b.dtype}")
    error = np.square(a - b).mean((1, 2, 3), dtype=np.float64)
    return 10 * np.log10(_RANGE**2 / np.maximum(error, 1e-12))


def ssim(a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    """Returns the structural similarity of pairs of images in [-1, 1]: 1 for the same.

    With the Gaussian window of 11 pixels, where it lies within the image; the mean over channels.

    Raises:
        UserError: if the images are smaller than the window.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
        >>> bool(jnp.allclose(ssim(images, images), 1))
        True
    """
    _check_side(a, 1)
    return _parts(a, b)[0].mean(1)


def ms_ssim(
    a: Float[Array, "n h w c"], b: Float[Array, "n h w c"], scales: int = 5
) -> Float[Array, " n"]:
    """Returns the structural similarity over several scales, each half as large.

    Args:
        a: images in [-1, 1].
        b: those to compare with.
        scales: at most 5; with fewer, the published weights of the finest are scaled to sum to 1.

    Raises:
        UserError: if the images are too small for so many scales.
    """
    if not 1 <= scales <= len(WEIGHTS):
        raise UserError(f"scales must be in 1 to {len(WEIGHTS)}, got {scales}")
    _check_side(a, scales)
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = jnp.ones((a.shape[0], a.shape[3]))
    for scale, weight in enumerate(weights):
        whole, contrast = _parts(a, b)
        part = whole if scale == scales - 1 else contrast
        product = product * jnp.maximum(part, 1e-6) ** float(weight)  # roots have no slope at 0
        a, b = (_halved(x) for x in (a, b))
    return product.mean(1)


def _halved(x: Float[Array, "n h w c"]) -> Float[Array, "n _ _ c"]:
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def most_scales(side: int) -> int:
    """Returns how many scales images of a side in pixels have room for, at most 5.

    Example:
        >>> [most_scales(side) for side in (8, 11, 32, 256)]
        [0, 1, 2, 5]
    """
    return next((n for n in range(len(WEIGHTS), 0, -1) if side >> (n - 1) >= _SIDE), 0)


def _check_side(x: Array, scales: int) -> None:
    side = min(x.shape[1:3])
    if most_scales(side) < scales:
        raise UserError(
            f"images need {_SIDE << (scales - 1)} pixels for {scales} scales, got {side}"
        )


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["scales"])
@dataclass(frozen=True)
class Dissimilarity:
    """1 - MS-SSIM, a term.

    Attributes:
        scales: of the images, at most 5; `None` for as many as they have room for.
    """

    scales: int | None = None

    def __call__(self, view: View) -> Float[Array, " n"]:
        """Returns the term."""
        scales = most_scales(min(view.images.shape[1:3])) if self.scales is None else self.scales
        return 1 - ms_ssim(view.images, view.targets, max(1, scales))

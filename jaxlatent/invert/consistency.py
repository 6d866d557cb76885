"""How far an encoder can be trusted: from codes to images, to codes and to images again."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxlatent.errors import UserError
from jaxlatent.find.training import base_key, per_index
from jaxlatent.generators import Generator
from jaxlatent.invert.encoders import Trained
from jaxlatent.invert.starts import rendered, sampled
from jaxlatent.keys import AnyKey


@dataclass(frozen=True)
class RoundTrip:
    """How consistent an encoder is, from codes to images to codes and to images again.

    Attributes:
        code: mean squared error of codes in their deviations; 1 is no better than the mean.
        pixels: mean squared error of images in [-1, 1].
        constant: the same of the mean image, to compare with.
    """

    code: float
    pixels: float
    constant: float


def round_trip(
    generator: Generator, trained: Trained, key: AnyKey, samples: int = 256
) -> RoundTrip:
    """Measures an encoder on samples of its generator, as LIA does (Zhu et al. 2019).

    Args:
        generator: the one that the encoder was trained for.
        trained: the encoder.
        key: another than that of the training.
        samples: how many.

    Raises:
        UserError: if the encoder is another generator's, or samples are fewer than 2.

    References:
        arXiv:1906.08090.
    """
    if samples < 2:
        raise UserError(f"samples must be at least 2, got {samples}")
    space, shape = trained.space, trained.encoder.shape
    if generator.spaces.get(space) != tuple(shape):
        raise UserError(
            f"the encoder gives codes {list(shape)} of {space}, which this generator does not have"
        )
    keys = per_index(base_key(key), jnp.arange(samples))
    errors = _round_trip(generator, trained.encoder, keys, trained.space)
    return RoundTrip(*(float(error) for error in errors))


@partial(jax.jit, static_argnames="space")
def _round_trip(
    generator: Generator, encoder: Any, keys: Key[Array, " n"], space: str
) -> tuple[Array, Array, Array]:
    code = sampled(generator, keys, None, space)
    images = rendered(generator, code, space)
    found = encoder(images)
    error = jnp.square((found - code) / encoder.deviation[...][None]).mean()
    pixels = jnp.square(rendered(generator, found, space) - images).mean()
    return error, pixels, jnp.square(images - images.mean(0, keepdims=True)).mean()

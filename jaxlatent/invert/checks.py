"""What is checked before an inversion, and brought into one form."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.base import class_weights
from jaxlatent.invert.recipe import Recipe

_FAR = 10.0  # images that are nowhere negative and reach this are pixels of 0 to 255
_FOR_DEVIATION = 10_000  # samples of w, as in StyleGAN2's projector


def images(generator: Generator, given: Any) -> Float[np.ndarray, "n h w c"]:
    """Returns images as float32, or raises `UserError`."""
    given = given if hasattr(given, "shape") else np.asarray(given)
    shape = tuple(given.shape)
    if len(shape) != 4 or shape[1:] != generator.image_shape or not shape[0]:
        expected = ", ".join(map(str, ("n", *generator.image_shape)))
        raise UserError(
            f"images must have the shape [{expected}] with n of at least 1, got {list(shape)}"
        )
    if not jnp.issubdtype(given.dtype, jnp.floating):
        raise UserError(
            f"images must be of a floating type, in [-1, 1], got {given.dtype}; uint8 pixels are "
            "x / 127.5 - 1"
        )
    array = np.asarray(given, np.float32)
    if not np.isfinite(array).all():
        raise UserError("images hold numbers that are not finite")
    if array.min() >= 0 and array.max() > _FAR:
        raise UserError(
            f"images must be in [-1, 1], got {array.min():.0f} to {array.max():.0f}; pixels of "
            "0 to 255 are x / 127.5 - 1"
        )
    return array


def labels(generator: Generator, recipe: Recipe, label: Labels | None, n: int) -> Any:
    """Returns class weights [n, classes], or `None` if there are no classes to be given."""
    if label is None and (recipe.classes or not _reads_classes(generator, recipe)):
        return None
    if not generator.num_classes:
        raise UserError("this generator is not conditional; give no label")
    return class_weights(label, n, generator.num_classes)


def _reads_classes(generator: Generator, recipe: Recipe) -> bool:
    """Tells whether classes are read: on the way from z, or in synthesis where there is no w."""
    from_z = recipe.space == "z" or (recipe.start == "sample" and recipe.chart is None)
    return bool(generator.num_classes) and (from_z or "w" not in generator.spaces)


def codes(generator: Generator, recipe: Recipe, given: Any, n: int) -> Any:
    """Returns the codes to start from, [n, m, d], or `None`."""
    if given is None:
        return None
    given = np.asarray(given, np.float32)
    rows, width = generator.spaces[recipe.space]
    shapes = [(n, rows, width)] + ([(n, width)] if rows == 1 else [])
    if tuple(given.shape) not in shapes:
        raise UserError(f"codes must have the shape {list(shapes[0])}, got {list(given.shape)}")
    if recipe.restarts > 1:
        raise UserError("codes are one start for each image; the recipe asks for restarts")
    if not np.isfinite(given).all():
        raise UserError("codes hold numbers that are not finite")
    return jnp.asarray(given, jnp.float32).reshape(shapes[0])


def weights(given: Any, shape: tuple[int, ...], name: str) -> Float[np.ndarray, "n h w"]:
    """Returns weights of pixels in [0, 1] for each image, or raises `UserError`."""
    array = np.asarray(given, np.float32)
    if array.shape not in (shape, shape[1:]):
        expected = f"{list(shape[1:])} or {list(shape)}"
        raise UserError(f"{name} must have the shape {expected}, got {list(array.shape)}")
    if not (np.all(array >= 0) and np.all(array <= 1)):
        raise UserError(f"{name} must be in [0, 1]")
    return np.broadcast_to(array, shape)


def mask(given: Any, shape: tuple[int, ...]) -> Any:
    """Returns a mask for each image, [n, h, w], or `None`."""
    if given is None:
        return None
    array = weights(given, shape, "mask")
    if not np.all(array.max((1, 2)) > 0):
        raise UserError("mask must leave something of each image")
    return array


def terms(recipe: Recipe) -> Any:
    """Returns weights and terms as pytrees, whose functions may be arguments of a program."""

    def wrapped(leaf: Any) -> Any:
        return jax.tree_util.Partial(leaf) if callable(leaf) else leaf

    weighted = tuple((jnp.float32(weight), term) for weight, term in recipe.terms)
    return jax.tree.map(wrapped, weighted)


def deviation(generator: Generator) -> Float[Array, ""]:
    """Returns the root of the mean squared distance of w from its mean."""
    return _deviation(generator, jax.random.split(jax.random.key(0), _FOR_DEVIATION))


@jax.jit
def _deviation(generator: Generator, keys: Array) -> Float[Array, ""]:
    w = generator.map(generator.sample_z(keys, keys.shape[0]))
    return jnp.sqrt(jnp.square(w - w.mean(0, keepdims=True)).sum() / w.shape[0])

"""The rendered avatars in memory: 8-bit images, and the attributes that each was drawn from."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from jaxlatent.errors import UserError
from jaxlatent.files import read_npy
from jaxlatent.networks import AttributesConfig, Category, Factor

HIDDEN = -1  # a category that the picture does not show
HELD_OUT = 4000  # the last avatars of a folder, which nothing is trained on


@dataclass(frozen=True)
class Schema:
    """What the attributes are called.

    Attributes:
        categories: each category's values, by its name.
        factors: each continuous factor's lowest and highest value, by its name.
    """

    categories: dict[str, tuple[str, ...]]
    factors: dict[str, tuple[float, float]]

    def config(self, **fields: Any) -> AttributesConfig:
        """Returns the config of a network that reads these attributes, with other fields."""
        return AttributesConfig(
            tuple(Category(name, values) for name, values in self.categories.items()),
            tuple(Factor(name, *bounds) for name, bounds in self.factors.items()),
            **fields,
        )


@dataclass(frozen=True)
class Avatars:
    """Rendered avatars and their attributes.

    Attributes:
        images: pixels.
        categories: the position of each category's value, or `HIDDEN`.
        factors: each factor's value, scaled from its range to [-1, 1].
        schema: the names.
    """

    images: UInt8[np.ndarray, "n h w 3"]
    categories: Int[np.ndarray, "n a"]
    factors: Float[np.ndarray, "n f"]
    schema: Schema

    def __len__(self) -> int:
        return self.images.shape[0]

    def __getitem__(self, rows: slice) -> "Avatars":
        return Avatars(self.images[rows], self.categories[rows], self.factors[rows], self.schema)


def read_schema(path: str | os.PathLike[str]) -> Schema:
    """Reads the attributes' names from an `options.json`."""
    options = json.loads(Path(path).read_text())
    categories = {
        name: tuple(value for value, _, _ in choices)
        for name, choices in options["categories"].items()
    }
    factors = {name: (float(low), float(high)) for name, (low, high) in options["factors"].items()}
    return Schema(categories, factors)


def load(folder: str | os.PathLike[str]) -> Avatars:
    """Reads what `render.mjs` wrote.

    Raises:
        UserError: if a file is missing, or the files do not belong together.
    """
    folder = Path(folder)
    if not (folder / "options.json").is_file():
        raise UserError(f"{folder} has no rendered avatars; write them with render.mjs")
    schema = read_schema(folder / "options.json")
    images, categories, factors = (
        read_npy(folder / f"{name}.npy") for name in ("images", "categories", "factors")
    )
    expected = (
        (len(images), len(schema.categories)),
        (len(images), len(schema.factors)),
    )
    if (categories.shape, factors.shape) != expected or images.dtype != np.uint8:
        raise UserError(f"the files of {folder} do not belong together; render them again")
    low, high = np.array(list(schema.factors.values()), np.float32).T
    scaled = 2 * (factors - low[None]) / (high - low)[None] - 1
    return Avatars(images, categories.astype(np.int32), scaled.astype(np.float32), schema)


def split(avatars: Avatars, held_out: int = HELD_OUT) -> tuple[Avatars, Avatars]:
    """Returns the avatars to train on, and the last `held_out` ones to test with.

    Raises:
        UserError: if nothing would be left to train on.
    """
    if not 0 < held_out < len(avatars):
        raise UserError(f"{len(avatars)} avatars cannot be split into some and {held_out} held out")
    return avatars[: len(avatars) - held_out], avatars[len(avatars) - held_out :]


def to_float(images: UInt8[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Turns 8-bit images into ones in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1


def draw(
    images: UInt8[Array, "m h w c"], key: jax.Array, count: int
) -> tuple[UInt8[Array, "n h w c"], Int[Array, " n"]]:
    """Draws `count` images with replacement; also returns their positions."""
    rows = jax.random.randint(key, (count,), 0, images.shape[0])
    return images[rows], rows

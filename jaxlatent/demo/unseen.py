"""The demo's pictures that the generator never saw: inverted, and edited."""

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from PIL import Image

from jaxlatent import Directions, Edit, edit
from jaxlatent.demo.report import Sheet
from jaxlatent.generators import Generator
from jaxlatent.invert import Inversion, Pixels, Recipe, Schedule, invert, nearest, psnr, spread
from jaxlatent.pictures import read_picture
from jaxlatent.sheet import contact_sheet
from jaxlatent.sweeps import render

FILE = "avatars-inversion.png"
RECIPE = Recipe(
    "w+", 150, Schedule(0.05, fall=0.5), ((1.0, Pixels()), (0.1, spread))
)  # rows that stay together can be edited (Tov et al. 2021)
SHOWN = 4  # of the six that come with the package
_SAMPLES = 1000


def unseen() -> Float[np.ndarray, "6 64 64 3"]:
    """Returns six rendered avatars, the first of those that nothing was trained on, in [-1, 1].

    (The temperatures of the network that reads attributes were fitted to them and others.)

    Example:
        >>> unseen().shape
        (6, 64, 64, 3)
    """
    file = Path(str(importlib.resources.files("jaxlatent"))) / "data" / "avatars-held-out.png"
    return np.stack(np.split(read_picture(file, (64, 6 * 64, 3)), 6, axis=1))


def find(generator: Generator, images: Float[np.ndarray, "n h w c"]) -> Inversion:
    """Inverts images into w+, from the samples that look most like them."""
    starts = nearest(generator, images, jax.random.key(5), "w+", _SAMPLES)
    return invert(generator, images, RECIPE, jax.random.key(6), codes=starts)


def clipped_psnr(found: Inversion, images: Float[np.ndarray, "n h w c"]) -> list[float]:
    """Returns how alike images and their inversions are when looked at, in dB."""
    return psnr(np.clip(found.images, -1, 1), images).tolist()


def picture(
    generator: Generator,
    images: Float[np.ndarray, "n h w c"],
    found: Inversion,
    edits: Sequence[tuple[Directions, float]],
    more: Mapping[str, Float[np.ndarray, "n h w c"]] = MappingProxyType({}),
) -> Image.Image:
    """Draws a row for each image: itself, what it became, edits of that, and what else there is."""
    columns, names = [images, found.images], ["picture", "inverted"]
    for one, step in edits:
        codes = edit(generator, jnp.asarray(found.codes), Edit(one, [step]))
        columns.append(render(generator, codes))
        names.append(f"{one.names[0]} {step:+g}")
    columns += more.values()
    quality = [f"{value:.1f} dB" for value in clipped_psnr(found, images)]
    return contact_sheet(np.stack(columns, axis=1), quality, [*names, *more])


def sheet(
    folder: Path,
    generator: Generator,
    images: Float[np.ndarray, "n h w c"],
    found: Inversion,
    edits: Sequence[tuple[Directions, float]],
) -> Sheet:
    """Writes images, what they became, and what edits make of that."""
    picture(generator, images, found, edits).save(folder / FILE)
    about = (
        "Avatars drawn by the program that drew the training's, of which the generator saw none of "
        "these; what the nearest codes in w+ render, and edits of these codes."
    )
    return Sheet(FILE, "Pictures that the generator never saw", about)

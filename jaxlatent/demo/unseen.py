"""The demo's pictures that no network was trained on: inverted, and edited."""

import importlib.resources
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent import Directions, Edit, edit
from jaxlatent.demo.report import Sheet
from jaxlatent.generators import Generator
from jaxlatent.invert import Inversion, Pixels, Recipe, Schedule, invert, nearest, spread
from jaxlatent.pictures import read_picture
from jaxlatent.sheet import contact_sheet
from jaxlatent.sweeps import render

FILE = "avatars-inversion.png"
RECIPE = Recipe(
    "w+", 80, Schedule(0.05, fall=0.5), ((1.0, Pixels()), (0.1, spread))
)  # rows that stay together can be edited (Tov et al. 2021)
SHOWN = 4  # of the six that come with the package
_SAMPLES = 1000


def unseen() -> Float[np.ndarray, "6 64 64 3"]:
    """Returns six rendered avatars, the first of those held out of all training, in [-1, 1].

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


def psnr(
    a: Float[np.ndarray, "n h w c"], b: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, " n"]:
    """Returns how alike images are, in dB."""
    error = np.square(np.clip(a, -1, 1) - b).mean((1, 2, 3), dtype=np.float64)
    return 10 * np.log10(4 / np.maximum(error, 1e-12))


def sheet(
    folder: Path,
    generator: Generator,
    images: Float[np.ndarray, "n h w c"],
    found: Inversion,
    directions: Sequence[tuple[Directions, float]],
) -> Sheet:
    """Writes images, what they became, and what an edit makes of that."""
    columns, names = [images, found.images], ["rendered", "inverted"]
    for one, step in directions:
        codes = edit(generator, jnp.asarray(found.codes), Edit(one, [step]))
        columns.append(render(generator, codes))
        names.append(f"{one.names[0]} {step:+g}")
    quality = [f"{value:.1f} dB" for value in psnr(found.images, images)]
    contact_sheet(np.stack(columns, axis=1), quality, names).save(folder / FILE)
    about = (
        "Avatars drawn by the program that drew the training's, but seen by no network; the codes "
        "in w+ that render them, and edits of these codes."
    )
    return Sheet(FILE, "Pictures that the generator never saw", about)

"""Real images edited: inverted, moved along directions, rendered, and kept where asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.edits import Edit, acts_on_z, edit, moves
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Labels
from jaxlatent.invert import checks
from jaxlatent.invert.inversion import Inversion, invert
from jaxlatent.invert.recipe import Recipe
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress, render


@dataclass(frozen=True, eq=False)
class EditedImages:
    """Images before and after an edit.

    Attributes:
        images: edited, and outside of the mask as they were given.
        inversion: what was edited.
        codes: the edited codes.
    """

    images: Float[np.ndarray, "n h w c"]
    inversion: Inversion
    codes: Float[np.ndarray, "n L d"]


def edit_image(
    images: Float[Array | np.ndarray, "n h w c"],
    generator: Generator,
    edits: Edit | tuple[Edit, ...],
    recipe: Recipe,
    key: AnyKey,
    *,
    keep: Any = None,
    label: Labels | None = None,
    codes: Any = None,
    mask: Any = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> EditedImages:
    """Inverts images, edits their codes and renders them.

    Args:
        images: of the generator's size, in [-1, 1].
        generator: the generator.
        edits: one or several.
        recipe: how to invert; see `jaxlatent.invert.presets`.
        key: of the inversion.
        keep: how much of each given pixel stays, in [0, 1], [h, w] or [n, h, w]; `None` for
            nothing.
        label: classes of a conditional generator.
        codes: where the inversion starts, such as those that `nearest` or an encoder returns.
        mask: how much each pixel counts in it; see `invert`.
        folder: keeps the inversion's state; see `invert`.
        progress: called with the inversion's steps and their number.

    Raises:
        UserError: if images, edits or masks do not fit.
    """
    targets = checks.images(generator, images)
    kept = None if keep is None else checks.weights(keep, targets.shape[:3], "keep")
    chosen = (edits,) if isinstance(edits, Edit) else tuple(edits)
    for one in chosen:  # before the work
        if acts_on_z(generator, one.directions):
            raise UserError("images are edited after the mapping network: give directions in w")
        moves(generator, one.directions, one.layers, one.mode)
    found = invert(
        generator, targets, recipe, key, label=label, codes=codes, mask=mask, folder=folder,
        progress=progress,
    )  # fmt: skip
    moved = edit(generator, jnp.asarray(found.codes), *chosen)
    edited = _rendered(generator, moved, found, recipe)
    if kept is not None:
        weight = kept[..., None]
        edited = weight * targets + (1 - weight) * edited
    return EditedImages(edited, found, np.asarray(moved))


def _rendered(
    generator: Generator, codes: Float[Array, "n L d"], found: Inversion, recipe: Recipe
) -> Float[np.ndarray, "n h w c"]:
    """Renders codes, each with the noise maps of its own inversion."""
    label = None if found.label is None else jnp.asarray(found.label)
    if recipe.noise != "optimise":
        return render(generator, codes, noise=recipe.noise, label=label)
    return np.concatenate(
        [
            render(
                generator,
                codes[i : i + 1],
                noise=[jnp.asarray(maps[i]) for maps in found.noise],
                label=None if label is None else label[i : i + 1],
            )
            for i in range(len(codes))
        ]
    )

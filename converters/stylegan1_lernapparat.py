"""StyleGAN checkpoints of lernapparat/lernapparat, from which other ports derive."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import Arrays, find_arrays, fits
from converters.formats import Format, Recipe
from converters.options import MULTIPLIER
from converters.stylegan1_huangzh13 import Names, port_recipe

_MARKS = ("g_mapping.dense0.weight", "g_synthesis.blocks.4x4.const", "g_synthesis.torgb.weight")
_NAMES = Names(
    mapping="g_mapping",
    block=lambda i: f"g_synthesis.blocks.{4 << i}x{4 << i}",
    image=lambda _: "g_synthesis.torgb",
    all_images=False,
)


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, (), _MARKS)


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    return port_recipe(_find(tree), _NAMES, options, lod=0.0)


FORMAT = Format(
    name="lernapparat-stylegan1",
    title="lernapparat/lernapparat, StyleGAN",
    license="CC BY-NC 4.0 for weights converted from NVIDIA's",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={"mapping_lr_multiplier": MULTIPLIER},
)

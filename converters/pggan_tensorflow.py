"""PGGAN pickles of NVIDIA's TensorFlow code, tkarras/progressive_growing_of_gans."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from converters.arrays import MAX_BLOCKS, Arrays, extent, fits, number_of
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.progressive import growing, level_of_detail
from converters.rules import Rule
from converters.tensorflow import (
    Network,
    check_settings,
    is_theano,
    read_network,
    setting,
)
from jaxlatent.generators import PGGANConfig

_MARKS = ("4x4/Dense/weight", "4x4/Conv/weight", "ToRGB_lod0/weight")
_NEEDED = {
    "pixelnorm_epsilon": (1e-8,),
    **dict.fromkeys(("normalize_latents", "use_wscale", "use_pixelnorm"), (True,)),
    "use_leakyrelu": (True,),
}
_READ = ("fused_scale",)  # seen in the variables' names


def _find(tree: Any) -> Network:
    return read_network(tree, _MARKS)


def _side(block: int) -> str:
    return f"{4 << block}x{4 << block}"


def _config(arrays: Arrays, settings: Mapping[str, Any], level: float) -> PGGANConfig:
    blocks = number_of(arrays, lambda i: f"{_side(i)}/Conv1/weight", MAX_BLOCKS, "resolutions")
    names = [f"{_side(i)}/{'Conv1' if i else 'Conv'}/weight" for i in range(blocks)]
    inputs = extent(arrays, "4x4/Dense/weight", 0)
    classes = setting(settings, "label_size", int, 0)
    if not 0 <= classes < inputs:
        raise ConversionError(
            f"the network's setting label_size is {classes}, but its first layer reads {inputs} "
            "numbers, z and label together"
        )
    return PGGANConfig(
        channels=tuple(extent(arrays, name, 3) for name in names),
        z_dim=inputs - classes,
        c_dim=int(classes),
        img_channels=extent(arrays, "ToRGB_lod0/weight", 3),
        lod=level,
    )


def _spread(array: np.ndarray) -> np.ndarray:
    """Turns the first layer [i, (o h w)] into the kernel HWIO that spreads one pixel over 4x4."""
    return array.reshape(len(array), -1, 4, 4).transpose(2, 3, 0, 1)


def _fused(array: np.ndarray) -> np.ndarray:
    """Turns a fused up-convolution, transposed and HWOI, into the kernel of the correlation."""
    return array.transpose(0, 1, 3, 2)[::-1, ::-1]


def _rules(config: PGGANConfig, arrays: Arrays) -> list[Rule]:
    rules = [
        Rule("4x4/Dense/weight", "blocks/0/conv0/kernel", _spread),
        Rule("4x4/Dense/bias", "blocks/0/conv0/bias"),
        Rule("4x4/Conv/weight", "blocks/0/conv1/kernel"),
        Rule("4x4/Conv/bias", "blocks/0/conv1/bias"),
    ]
    blocks = len(config.channels)
    for i in range(blocks):
        image, target = f"ToRGB_lod{blocks - 1 - i}", f"blocks/{i}"
        rules.append(Rule(f"{image}/weight", f"{target}/torgb/kernel"))
        rules.append(Rule(f"{image}/bias", f"{target}/torgb/bias"))
        if not i:
            continue
        source, fused = f"{_side(i)}/Conv0", f"{_side(i)}/Conv0_up"
        if f"{fused}/weight" in arrays:
            rules.append(Rule(f"{fused}/weight", f"{target}/conv0/kernel", _fused))
            rules.append(Rule(f"{fused}/bias", f"{target}/conv0/bias"))
        else:
            rules.append(Rule(f"{source}/weight", f"{target}/conv0/kernel"))
            rules.append(Rule(f"{source}/bias", f"{target}/conv0/bias"))
        rules.append(Rule(f"{_side(i)}/Conv1/weight", f"{target}/conv1/kernel"))
        rules.append(Rule(f"{_side(i)}/Conv1/bias", f"{target}/conv1/bias"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays, settings = _find(tree)
    notices = check_settings(settings, _NEEDED, _READ)
    level = level_of_detail(arrays, "lod")
    config = _config(arrays, settings, level)
    return Recipe(config, _rules(config, arrays), arrays, ("lod",), (*notices, *growing(level)))


FORMAT = Format(
    name="nvidia-tf-pggan",
    title="tkarras/progressive_growing_of_gans, TensorFlow pickles",
    license="CC BY-NC 4.0 for NVIDIA's own weights",
    matches=lambda tree: is_theano(tree) or fits(lambda: _find(tree)),
    recipe=_recipe,
    options={},
)

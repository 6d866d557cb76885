"""PGGAN checkpoints of genforce/interfacegan."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from converters.arrays import Arrays, extent, find_arrays, fits
from converters.formats import Format, Recipe
from converters.progressive import flipped_tensorflow_conv, growing, level_of_detail, resolutions
from converters.rules import Rule, conv, flipped_conv
from jaxlatent.generators import PGGANConfig

_MARKS = ("layer0.conv.weight", "layer0.wscale.bias", "layer1.conv.weight", "output0.conv.weight")


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, (), _MARKS)


def _config(arrays: Arrays) -> PGGANConfig:
    blocks = resolutions(arrays, "output{}.conv.weight")
    return PGGANConfig(
        channels=tuple(extent(arrays, f"layer{2 * i + 1}.conv.weight", 0) for i in range(blocks)),
        z_dim=extent(arrays, "layer0.conv.weight", 1),
        img_channels=extent(arrays, f"output{blocks - 1}.conv.weight", 0),
        lod=float(np.ceil(level_of_detail(arrays, "lod"))),  # blocks above are left out
    )


def _rules(config: PGGANConfig, arrays: Arrays) -> list[Rule]:
    rules = []
    for i in range(2 * config.depth):
        target = f"blocks/{i // 2}/conv{i % 2}"
        if i and i % 2 == 0 and f"layer{i}.weight" in arrays:  # fused
            kernel = Rule(f"layer{i}.weight", f"{target}/kernel", flipped_tensorflow_conv)
        else:
            transform = conv if i else flipped_conv
            kernel = Rule(f"layer{i}.conv.weight", f"{target}/kernel", transform)
        rules += [kernel, Rule(f"layer{i}.wscale.bias", f"{target}/bias")]
    for i in range(config.depth):
        rules.append(Rule(f"output{i}.conv.weight", f"blocks/{i}/torgb/kernel", conv))
        rules.append(Rule(f"output{i}.wscale.bias", f"blocks/{i}/torgb/bias"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    config = _config(arrays)
    return Recipe(config, _rules(config, arrays), arrays, ("lod",), growing(config.lod))


FORMAT = Format(
    name="interfacegan-pggan",
    title="genforce/interfacegan, PGGAN",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={},
)

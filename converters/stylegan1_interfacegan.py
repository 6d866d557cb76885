"""StyleGAN checkpoints of genforce/interfacegan."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from converters.arrays import (
    MAX_LAYERS,
    Arrays,
    bounded,
    counted,
    extent,
    find_arrays,
    fits,
    required,
)
from converters.formats import Format, Recipe
from converters.options import MULTIPLIER, mapping_lr_multiplier
from converters.progressive import (
    blur_taps,
    flipped_tensorflow_conv,
    growing,
    level_of_detail,
    resolutions,
)
from converters.rules import Rule, chain, channels_last, conv, first, transpose
from jaxlatent.generators import StyleGAN1Config

_MARKS = (
    "mapping.dense0.linear.weight",
    "synthesis.layer0.first_layer",
    "synthesis.layer1.conv.weight",
    "synthesis.output0.conv.weight",
)


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, (), _MARKS)


def _config(arrays: Arrays, multiplier: float) -> StyleGAN1Config:
    blocks = resolutions(arrays, "synthesis.output{}.conv.weight")
    layers = bounded(
        counted(arrays, "mapping.dense{}.linear.weight".format), MAX_LAYERS, "mapping layers"
    )
    widths = tuple(extent(arrays, f"mapping.dense{i}.linear.weight", 0) for i in range(layers))
    return StyleGAN1Config(
        channels=tuple(
            extent(arrays, f"synthesis.layer{2 * i + 1}.conv.weight", 0) for i in range(blocks)
        ),
        z_dim=extent(arrays, "mapping.dense0.linear.weight", 1),
        w_dim=widths[-1],
        img_channels=extent(arrays, f"synthesis.output{blocks - 1}.conv.weight", 0),
        mapping_widths=widths,
        mapping_lr_multiplier=multiplier,
        blur_filter=blur_taps(arrays),
        lod=float(np.ceil(level_of_detail(arrays, "synthesis.lod"))),  # blocks above are left out
        has_w_avg="truncation.w_avg" in arrays,
    )


def _styled(source: str, target: str) -> list[Rule]:
    style = f"{source}.style_mod.dense"
    return [
        Rule(f"{source}.bias", f"{target}/bias"),
        Rule(f"{source}.apply_noise.weight", f"{target}/noise_strength"),
        Rule(f"{source}.apply_noise.noise", f"{target}/noise", chain(first, first)),
        Rule(f"{style}.linear.weight", f"{target}/affine/weight", transpose),
        Rule(f"{style}.wscale.bias", f"{target}/affine/bias"),
    ]


def _rules(config: StyleGAN1Config, arrays: Arrays) -> list[Rule]:
    rules = [Rule("synthesis.layer0.first_layer", "const", chain(first, channels_last))]
    for i in range(len(config.mapping_widths)):
        source, target = f"mapping.dense{i}", f"mapping/layers/{i}"
        rules.append(Rule(f"{source}.linear.weight", f"{target}/weight", transpose))
        rules.append(Rule(f"{source}.wscale.bias", f"{target}/bias"))
    if config.has_w_avg:
        rules.append(Rule("truncation.w_avg", "mapping/w_avg"))
    for i in range(config.num_layers):
        source, target = f"synthesis.layer{i}", f"blocks/{i // 2}/layers/{i % 2}"
        rules += _styled(f"{source}.epilogue", target)
        fused = i % 2 == 0 and f"{source}.weight" in arrays
        if fused:
            rules.append(Rule(f"{source}.weight", f"{target}/kernel", flipped_tensorflow_conv))
        elif i:
            rules.append(Rule(f"{source}.conv.weight", f"{target}/kernel", conv))
    for i in range(len(config.channels)):
        source, target = f"synthesis.output{i}", f"blocks/{i}/torgb"
        rules.append(Rule(f"{source}.conv.weight", f"{target}/kernel", conv))
        rules.append(Rule(f"{source}.bias", f"{target}/bias"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    weight = required(arrays, "mapping.dense0.linear.weight")
    multiplier, notices = mapping_lr_multiplier(options, weight)
    config = _config(arrays, multiplier)
    unneeded = ["synthesis.lod", "truncation.truncation"]
    unneeded += [name for name in arrays if name.endswith(".blur.kernel")]
    notices += growing(config.lod)
    return Recipe(config, _rules(config, arrays), arrays, unneeded, tuple(notices))


FORMAT = Format(
    name="interfacegan-stylegan1",
    title="genforce/interfacegan, StyleGAN",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "mapping_lr_multiplier": MULTIPLIER,
    },
)

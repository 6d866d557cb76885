"""StyleGAN checkpoints of genforce/genforce and genforce/sefa."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import (
    MAX_LAYERS,
    Arrays,
    averaging,
    bounded,
    counted,
    extent,
    find_arrays,
    fits,
    required,
)
from converters.formats import Format, Recipe
from converters.options import MULTIPLIER, mapping_lr_multiplier, taken
from converters.progressive import (
    FUSED_SCALE,
    OUTPUT_ACTIVATION,
    blur_taps,
    growing,
    is_fused,
    level_of_detail,
    resolutions,
)
from converters.rules import Rule, chain, channels_last, conv, first, flipped_conv, transpose
from jaxlatent.generators import StyleGAN1Config

_CONTAINERS = ("generator_smooth", "generator")
_MARKS = (
    "mapping.dense0.weight",
    "synthesis.layer0.const",
    "synthesis.layer0.style.weight",
    "synthesis.layer1.weight",
    "synthesis.output0.weight",
)


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _config(arrays: Arrays, multiplier: float, output: str) -> StyleGAN1Config:
    blocks = resolutions(arrays, "synthesis.output{}.weight")
    layers = bounded(counted(arrays, "mapping.dense{}.weight".format), MAX_LAYERS, "mapping layers")
    conditional = "mapping.label_weight" in arrays
    embed_dim = extent(arrays, "mapping.label_weight", 1) if conditional else 0
    widths = tuple(extent(arrays, f"mapping.dense{i}.weight", 0) for i in range(layers))
    w_dim = extent(arrays, "synthesis.layer0.style.weight", 1)
    return StyleGAN1Config(
        channels=tuple(
            extent(arrays, f"synthesis.layer{2 * i + 1}.weight", 0) for i in range(blocks)
        ),
        z_dim=extent(arrays, "mapping.dense0.weight", 1) - embed_dim,
        w_dim=w_dim,
        c_dim=extent(arrays, "mapping.label_weight", 0) if conditional else 0,
        embed_dim=embed_dim,
        img_channels=extent(arrays, f"synthesis.output{blocks - 1}.weight", 0),
        mapping_widths=widths,
        mapping_lr_multiplier=multiplier,
        w_per_layer=widths[-1] != w_dim,
        blur_filter=blur_taps(arrays),
        lod=level_of_detail(arrays, "synthesis.lod"),
        output_activation=output,
        has_w_avg="truncation.w_avg" in arrays,
    )


def _styled(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.bias", f"{target}/bias"),
        Rule(f"{source}.apply_noise.weight", f"{target}/noise_strength"),
        Rule(f"{source}.apply_noise.noise", f"{target}/noise", chain(first, first)),
        Rule(f"{source}.style.weight", f"{target}/affine/weight", transpose),
        Rule(f"{source}.style.bias", f"{target}/affine/bias"),
    ]


def _rules(config: StyleGAN1Config, fused_scale: str) -> list[Rule]:
    rules = [Rule("synthesis.layer0.const", "const", chain(first, channels_last))]
    for i in range(len(config.mapping_widths)):
        rules.append(Rule(f"mapping.dense{i}.weight", f"mapping/layers/{i}/weight", transpose))
        rules.append(Rule(f"mapping.dense{i}.bias", f"mapping/layers/{i}/bias"))
    if config.c_dim:
        rules.append(Rule("mapping.label_weight", "mapping/embed"))
    if config.has_w_avg:
        rules.append(Rule("truncation.w_avg", "mapping/w_avg"))
    for i in range(config.num_layers):
        block, second = divmod(i, 2)
        source, target = f"synthesis.layer{i}", f"blocks/{block}/layers/{second}"
        rules += _styled(source, target)
        if i:
            fused = not second and is_fused(fused_scale, block)
            kernel = flipped_conv if fused else conv
            rules.append(Rule(f"{source}.weight", f"{target}/kernel", kernel))
    for i in range(len(config.channels)):
        rules.append(Rule(f"synthesis.output{i}.weight", f"blocks/{i}/torgb/kernel", conv))
        rules.append(Rule(f"synthesis.output{i}.bias", f"blocks/{i}/torgb/bias"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    weight = required(arrays, "mapping.dense0.weight")
    multiplier, notices = mapping_lr_multiplier(options, weight)
    output, more = taken(options, "output_activation", "linear")
    config = _config(arrays, multiplier, output)
    fused, which = taken(options, "fused_scale", "auto")
    notices += more + (which if len(config.channels) > 1 else [])
    notices += [*growing(config.lod), *averaging(tree, *_CONTAINERS)]
    unneeded = ["synthesis.lod", *(name for name in arrays if name.endswith(".blur.kernel"))]
    return Recipe(config, _rules(config, fused), arrays, unneeded, tuple(notices))


FORMAT = Format(
    name="genforce-stylegan1",
    title="genforce/genforce and genforce/sefa, StyleGAN",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "mapping_lr_multiplier": MULTIPLIER,
        "fused_scale": FUSED_SCALE,
        "output_activation": OUTPUT_ACTIVATION,
    },
)

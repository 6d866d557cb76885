"""StyleGAN2 and StyleGAN2-ADA checkpoints of genforce/genforce and genforce/sefa."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import (
    MAX_BLOCKS,
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
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import MULTIPLIER, mapping_lr_multiplier
from converters.rules import (
    Rule,
    chain,
    channels_last,
    conv,
    first,
    plus_one,
    scalar,
    transpose,
)
from converters.stylegan2_nvidia import taps
from jaxlatent.generators import StyleGAN2Config

_CONTAINERS = ("generator_smooth", "generator")
_MARKS = (
    "mapping.dense0.weight",
    "synthesis.early_layer.const",
    "synthesis.layer0.weight",
    "synthesis.layer0.style.weight",
)
_EMBEDDINGS = {"mapping.label_weight": "joint", "mapping.LabelEmbed.weight": "separate"}
_FILTER = (0.125, 0.375, 0.375, 0.125)


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _filter(arrays: Arrays, name: str) -> tuple[float, ...]:
    """Returns a filter's taps in the order of a convolution; the original correlates."""
    kernel = arrays.get(name)
    return _FILTER if kernel is None else taps(first(first(kernel)))[::-1]


def _labels(arrays: Arrays) -> dict[str, Any]:
    """Returns how the mapping network reads the class, as part of the config."""
    found = [name for name in _EMBEDDINGS if name in arrays]
    if not found:
        return {"z_dim": extent(arrays, "mapping.dense0.weight", 1)}
    name, joint = found[0], found[0] == "mapping.label_weight"
    size = extent(arrays, name, 1 if joint else 0)
    return {
        "z_dim": extent(arrays, "mapping.dense0.weight", 1) - size,
        "c_dim": extent(arrays, name, 0 if joint else 1),
        "embed_dim": size,
        "label_norm": _EMBEDDINGS[name],
    }


def _config(arrays: Arrays, multiplier: float) -> StyleGAN2Config:
    convs = counted(arrays, "synthesis.layer{}.weight".format)
    if convs % 2 == 0:
        raise ConversionError(f"{convs} layers synthesis.layerN; their number must be odd")
    blocks = bounded((convs + 1) // 2, MAX_BLOCKS, "resolutions")
    layers = bounded(counted(arrays, "mapping.dense{}.weight".format), MAX_LAYERS, "mapping layers")
    widths = tuple(extent(arrays, f"mapping.dense{i}.weight", 0) for i in range(layers))
    w_dim = extent(arrays, "synthesis.layer0.style.weight", 1)
    if widths[-1] == 2 * blocks * w_dim:
        raise ConversionError(
            "the mapping network gives each layer a w of its own (repeat_w=False), which is read "
            "for StyleGAN but not for StyleGAN2"
        )
    every = blocks > 1 and "synthesis.output0.weight" in arrays
    return StyleGAN2Config(
        channels=tuple(extent(arrays, f"synthesis.layer{2 * i}.weight", 0) for i in range(blocks)),
        w_dim=w_dim,
        img_channels=extent(arrays, f"synthesis.output{blocks - 1}.weight", 0),
        mapping_widths=widths,
        mapping_lr_multiplier=multiplier,
        architecture="skip" if every else "orig",
        resample_filter=_filter(arrays, "synthesis.layer1.filter.kernel"),
        image_filter=_filter(arrays, "synthesis.upsample.kernel"),
        has_w_avg="truncation.w_avg" in arrays,
        **_labels(arrays),
    )


def _styled(source: str, target: str) -> list[Rule]:
    return [
        Rule(
            f"{source}.weight", f"{target}/kernel", conv
        ),  # up-sampling ones too: stored unflipped
        Rule(f"{source}.bias", f"{target}/bias"),
        Rule(f"{source}.style.weight", f"{target}/affine/weight", transpose),
        Rule(f"{source}.style.bias", f"{target}/affine/bias", plus_one),
    ]


def _rules(config: StyleGAN2Config) -> list[Rule]:
    rules = [Rule("synthesis.early_layer.const", "const", chain(first, channels_last))]
    for i in range(len(config.mapping_widths)):
        rules.append(Rule(f"mapping.dense{i}.weight", f"mapping/layers/{i}/weight", transpose))
        rules.append(Rule(f"mapping.dense{i}.bias", f"mapping/layers/{i}/bias"))
    if config.c_dim and config.label_norm == "joint":
        rules.append(Rule("mapping.label_weight", "mapping/embed/weight"))
    elif config.c_dim:
        rules.append(Rule("mapping.LabelEmbed.weight", "mapping/embed/weight", transpose))
        rules.append(Rule("mapping.LabelEmbed.bias", "mapping/embed/bias"))
    if config.has_w_avg:
        rules.append(Rule("truncation.w_avg", "mapping/w_avg"))
    for i in range(config.num_convs):
        source, target = f"synthesis.layer{i}", f"blocks/{(i + 1) // 2}/conv{1 - i % 2}"
        rules += _styled(source, target)
        rules.append(Rule(f"{source}.noise", f"{target}/noise", chain(first, first)))
        rules.append(Rule(f"{source}.noise_strength", f"{target}/noise_strength", scalar))
    for i in range(len(config.channels)):
        if config.has_rgb(i):
            rules += _styled(f"synthesis.output{i}", f"blocks/{i}/torgb")
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    weight = required(arrays, "mapping.dense0.weight")
    multiplier, notices = mapping_lr_multiplier(options, weight)
    config = _config(arrays, multiplier)
    notices += averaging(tree, *_CONTAINERS)
    filters = [k for k in arrays if k.endswith((".filter.kernel", ".upsample.kernel"))]
    return Recipe(config, _rules(config), arrays, filters, tuple(notices))


FORMAT = Format(
    name="genforce-stylegan2",
    title="genforce/genforce and genforce/sefa, StyleGAN2 and StyleGAN2-ADA",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "mapping_lr_multiplier": MULTIPLIER,
    },
)

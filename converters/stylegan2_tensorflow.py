"""StyleGAN2 pickles of NVIDIA's TensorFlow code: NVlabs/stylegan2 and NVlabs/stylegan2-ada."""

from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from converters.arrays import MAX_BLOCKS, MAX_LAYERS, Arrays, extent, fits, number_of
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.rules import Rule, chain, channels_last, first, plus_one, scalar
from converters.stylegan2_nvidia import taps
from converters.tensorflow import (
    Network,
    check_settings,
    filter_setting,
    read_network,
    setting,
)
from jaxlatent.generators import StyleGAN2Config

_MARKS = ("mapping/Dense0/weight", "synthesis/4x4/Const/const", "synthesis/4x4/Conv/mod_weight")
_READ = (
    *("mapping_lrmul", "mapping_nonlinearity", "nonlinearity", "architecture"),
    *("resample_kernel", "conv_clamp", "use_noise"),
)
_NEAREST = (1, 1)  # what None as a filter means


def _find(tree: Any) -> Network:
    return read_network(tree, _MARKS)


def _side(block: int) -> str:
    return f"synthesis/{4 << block}x{4 << block}"


def _config(arrays: Arrays, settings: Mapping[str, Any]) -> StyleGAN2Config:
    blocks = number_of(arrays, lambda i: f"{_side(i)}/Conv1/weight", MAX_BLOCKS, "resolutions")
    layers = number_of(arrays, lambda i: f"mapping/Dense{i}/weight", MAX_LAYERS, "mapping layers")
    joint = "mapping/LabelConcat/weight" in arrays
    label = "mapping/LabelConcat/weight" if joint else "mapping/LabelEmbed/weight"
    embed_dim = extent(arrays, label, 1) if label in arrays else 0
    widths = tuple(extent(arrays, f"mapping/Dense{i}/weight", 1) for i in range(layers))
    plain = [f"{_side(i)}/{'Conv1' if i else 'Conv'}/weight" for i in range(blocks)]
    clamp = setting(settings, "conv_clamp", (int, float, NoneType), None)
    kernel = settings.get("resample_kernel", ())
    filter_taps = taps(
        np.array(_NEAREST)
        if kernel is None
        else filter_setting(settings, "resample_kernel", (1, 3, 3, 1))
    )
    return StyleGAN2Config(
        channels=tuple(extent(arrays, name, 3) for name in plain),
        z_dim=extent(arrays, "mapping/Dense0/weight", 0) - embed_dim,
        w_dim=widths[-1],
        c_dim=extent(arrays, label, 0) if embed_dim else 0,
        img_channels=extent(arrays, f"{_side(blocks - 1)}/ToRGB/weight", 3),
        mapping_widths=widths,
        embed_dim=embed_dim,
        label_norm="joint" if joint else "separate",
        mapping_lr_multiplier=float(setting(settings, "mapping_lrmul", (int, float), 0.01)),
        mapping_activation=setting(settings, "mapping_nonlinearity", str, "lrelu"),
        activation=setting(settings, "nonlinearity", str, "lrelu"),
        architecture=setting(settings, "architecture", str, "skip"),
        resample_filter=filter_taps,
        image_filter=filter_taps,
        conv_clamp=None if clamp is None else float(clamp),
        use_noise="synthesis/4x4/Conv/noise_strength" in arrays,
        has_w_avg="dlatent_avg" in arrays,
    )


def _modulated(source: str, target: str) -> list[Rule]:
    """A kernel needs no flip: theirs is that of the correlation, up-sampling or not."""
    return [
        Rule(f"{source}/weight", f"{target}/kernel"),
        Rule(f"{source}/bias", f"{target}/bias"),
        Rule(f"{source}/mod_weight", f"{target}/affine/weight"),
        Rule(f"{source}/mod_bias", f"{target}/affine/bias", plus_one),
    ]


def _styled_conv(source: str, target: str, noise: int | None) -> list[Rule]:
    rules = _modulated(source, target)
    if noise is not None:
        rules.append(Rule(f"{source}/noise_strength", f"{target}/noise_strength", scalar))
        rules.append(Rule(f"synthesis/noise{noise}", f"{target}/noise", chain(first, first)))
    return rules


def _rules(config: StyleGAN2Config) -> list[Rule]:
    rules = [Rule("synthesis/4x4/Const/const", "const", chain(first, channels_last))]
    for i in range(len(config.mapping_widths)):
        rules.append(Rule(f"mapping/Dense{i}/weight", f"mapping/layers/{i}/weight"))
        rules.append(Rule(f"mapping/Dense{i}/bias", f"mapping/layers/{i}/bias"))
    if config.c_dim and config.label_norm == "joint":
        rules.append(Rule("mapping/LabelConcat/weight", "mapping/embed/weight"))
    elif config.c_dim:
        rules.append(Rule("mapping/LabelEmbed/weight", "mapping/embed/weight"))
        rules.append(Rule("mapping/LabelEmbed/bias", "mapping/embed/bias"))
    if config.has_w_avg:
        rules.append(Rule("dlatent_avg", "mapping/w_avg"))
    for i in range(len(config.channels)):
        source, target = _side(i), f"blocks/{i}"
        noises = (2 * i - 1, 2 * i) if config.use_noise else (None, None)
        if i:
            rules += _styled_conv(f"{source}/Conv0_up", f"{target}/conv0", noises[0])
        plain = f"{source}/Conv1" if i else f"{source}/Conv"
        rules += _styled_conv(plain, f"{target}/conv1", noises[1])
        if config.has_rgb(i):
            rules += _modulated(f"{source}/ToRGB", f"{target}/torgb")
        if i and config.architecture == "resnet":
            rules.append(Rule(f"{source}/Skip/weight", f"{target}/skip"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays, settings = _find(tree)
    if any(name.startswith("synthesis/ToRGB_lod") for name in arrays):
        raise ConversionError(
            "a StyleGAN2 of configuration B, C or D (G_synthesis_stylegan_revised, layers "
            "ToRGB_lod), which grew with its training and is not read; expected configuration E or "
            "F (G_synthesis_stylegan2), or StyleGAN2-ADA"
        )
    notices = check_settings(settings, {"normalize_latents": (True,)}, _READ)
    config = _config(arrays, settings)
    return Recipe(config, _rules(config), arrays, ("lod",), notices)


FORMAT = Format(
    name="nvidia-tf-stylegan2",
    title="NVlabs/stylegan2 and stylegan2-ada, TensorFlow pickles",
    license="NVIDIA Source Code License (non-commercial) for NVIDIA's own weights",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={},
)

"""StyleGAN checkpoints of huangzh13/StyleGAN.pytorch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from converters.arrays import (
    MAX_BLOCKS,
    MAX_LAYERS,
    Arrays,
    averaging,
    extent,
    find_arrays,
    fits,
    number_of,
    required,
)
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import MULTIPLIER, Option, integer, mapping_lr_multiplier, taken
from converters.progressive import is_fused
from converters.rules import Rule, chain, channels_last, conv, first, flipped_conv, transpose
from converters.stylegan2_nvidia import taps
from converters.stylegan2_rosinality import AVERAGE_SAMPLES, average_w
from jaxlatent.generators import StyleGAN1Config

_MARKS = ("g_mapping.map.dense0.weight", "g_synthesis.init_block.const")
_CONTAINERS = ("gen_shadow", "gen")
_MEAN = "truncation.avg_latent"
_CLASSES = "class_embedding.weight"
_BLUR = ".conv0_up.intermediate.kernel"
_EPSILON = 1e-5  # of torch's InstanceNorm2d; NVIDIA's is 1e-8


class Names(NamedTuple):
    """How a port calls the parts of the network.

    Attributes:
        mapping: the mapping network.
        block: the layers of the n-th resolution, from 4 pixels on.
        image: the image layer of the n-th resolution.
        all_images: whether every resolution has one, or only the last.
    """

    mapping: str
    block: Callable[[int], str]
    image: Callable[[int], str]
    all_images: bool


def port_recipe(arrays: Arrays, names: Names, options: Mapping[str, Any], lod: float) -> Recipe:
    """Returns the recipe of a network of this port, or of lernapparat's, from which it comes.

    Args:
        arrays: the file's.
        names: of the port.
        options: "mapping_lr_multiplier", if it is known.
        lod: the level of detail to which the network has grown.
    """
    arrays = dict(arrays)
    weight = required(arrays, f"{names.mapping}.dense0.weight")
    multiplier, notices = mapping_lr_multiplier(options, weight)
    config = _config(arrays, names, multiplier, lod)
    notices.append(
        "the file has no constant noise maps: noise=const adds none, where the original draws "
        "random ones"
    )
    finish = None
    if _MEAN not in arrays and config.has_w_avg:
        arrays[_MEAN] = np.zeros(config.w_dim, np.float32)
        finish = average_w
        notices.append(
            f"the file has no mean w; estimated from {AVERAGE_SAMPLES} samples for truncation"
        )
    elif not config.has_w_avg:
        notices.append("the file has no mean w, so codes cannot be truncated")
    blurs = [name for name in arrays if name.endswith(_BLUR)]
    return Recipe(config, _rules(config, names), arrays, blurs, tuple(notices), finish)


def _config(arrays: Arrays, names: Names, multiplier: float, lod: float) -> StyleGAN1Config:
    mapping, block = names.mapping, names.block
    blocks = number_of(arrays, lambda i: f"{block(i)}.conv1.weight", MAX_BLOCKS, "resolutions")
    layers = number_of(arrays, lambda i: f"{mapping}.dense{i}.weight", MAX_LAYERS, "mapping layers")
    widths = tuple(extent(arrays, f"{mapping}.dense{i}.weight", 0) for i in range(layers))
    plain = [f"{block(i)}.{'conv1' if i else 'conv'}.weight" for i in range(blocks)]
    embed_dim = extent(arrays, _CLASSES, 1) if _CLASSES in arrays else 0
    return StyleGAN1Config(
        channels=tuple(extent(arrays, name, 0) for name in plain),
        z_dim=extent(arrays, f"{mapping}.dense0.weight", 1) - embed_dim,
        w_dim=widths[-1],
        c_dim=extent(arrays, _CLASSES, 0) if embed_dim else 0,
        embed_dim=embed_dim,
        img_channels=extent(arrays, f"{names.image(blocks - 1)}.weight", 0),
        mapping_widths=widths,
        mapping_lr_multiplier=multiplier,
        norm_epsilon=_EPSILON,
        blur_filter=_blur(arrays, blocks),
        all_images=names.all_images,
        lod=lod,
        has_noise_maps=False,
        has_w_avg=_MEAN in arrays or not embed_dim,
    )


def _blur(arrays: Arrays, blocks: int) -> tuple[float, ...]:
    """Returns the taps of the blur, which every up-sampling convolution or none has."""
    kernels = [array for name, array in arrays.items() if name.endswith(_BLUR)]
    found = {taps(chain(first, first)(kernel)) for kernel in kernels} or {(1.0,)}
    if len(found) > 1 or len(kernels) not in (0, blocks - 1):
        raise ConversionError("the blurs of the up-sampling convolutions differ; only one is read")
    return found.pop()


def _epilogue(source: str, target: str, bias: str) -> list[Rule]:
    return [
        Rule(bias, f"{target}/bias"),
        Rule(f"{source}.top_epi.noise.weight", f"{target}/noise_strength"),
        Rule(f"{source}.style_mod.lin.weight", f"{target}/affine/weight", transpose),
        Rule(f"{source}.style_mod.lin.bias", f"{target}/affine/bias"),
    ]


def _block_rules(source: str, index: int) -> list[Rule]:
    """Returns the rules of a resolution's two layers; the first of all starts from a constant."""
    target = f"blocks/{index}/layers"
    bias = f"{source}.conv0_up.bias" if index else f"{source}.bias"
    plain = f"{source}.conv1" if index else f"{source}.conv"
    rules = _epilogue(f"{source}.epi1", f"{target}/0", bias)
    rules += _epilogue(f"{source}.epi2", f"{target}/1", f"{plain}.bias")
    rules.append(Rule(f"{plain}.weight", f"{target}/1/kernel", conv))
    if index:
        kernel = flipped_conv if is_fused("auto", index) else conv
        rules.append(Rule(f"{source}.conv0_up.weight", f"{target}/0/kernel", kernel))
    else:
        rules.append(Rule(f"{source}.const", "const", chain(first, channels_last)))
    return rules


def _rules(config: StyleGAN1Config, names: Names) -> list[Rule]:
    rules = []
    for i in range(len(config.mapping_widths)):
        source = f"{names.mapping}.dense{i}"
        rules.append(Rule(f"{source}.weight", f"mapping/layers/{i}/weight", transpose))
        rules.append(Rule(f"{source}.bias", f"mapping/layers/{i}/bias"))
    if config.c_dim:
        rules.append(Rule(_CLASSES, "mapping/embed"))
    if config.has_w_avg:
        rules.append(Rule(_MEAN, "mapping/w_avg"))
    blocks = len(config.channels)
    for i in range(blocks):
        rules += _block_rules(names.block(i), i)
        if config.all_images or i == blocks - 1:
            rules.append(Rule(f"{names.image(i)}.weight", f"blocks/{i}/torgb/kernel", conv))
            rules.append(Rule(f"{names.image(i)}.bias", f"blocks/{i}/torgb/bias"))
    return rules


_NAMES = Names(
    mapping="g_mapping.map",
    block=lambda i: f"g_synthesis.blocks.{i - 1}" if i else "g_synthesis.init_block",
    image=lambda i: f"g_synthesis.to_rgb.{i}",
    all_images=True,
)


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("expected a number from 0 to 1")
    return number


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    blocks = number_of(
        arrays, lambda i: f"{_NAMES.block(i)}.conv1.weight", MAX_BLOCKS, "resolutions"
    )
    depth, notices = taken(options, "depth", blocks - 1, "all resolutions; see GAN_GEN_DEPTH_*.pth")
    if depth >= blocks:
        raise ConversionError(f"depth must be in 0 to {blocks - 1} for this file, got {depth}")
    for i in range(depth + 1, blocks):  # not grown to here
        unused = (f"{_NAMES.block(i)}.", f"{_NAMES.image(i)}.")
        arrays = {name: array for name, array in arrays.items() if not name.startswith(unused)}
    alpha, more = taken(options, "alpha", 1.0, "as after fading in")
    recipe = port_recipe(arrays, _NAMES, options, 1 - alpha if depth else 0.0)
    notices = [*recipe.notices, *notices, *more, *averaging(tree, *_CONTAINERS)]
    return replace(recipe, notices=tuple(notices))


FORMAT = Format(
    name="huangzh13-stylegan1",
    title="huangzh13/StyleGAN.pytorch",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "mapping_lr_multiplier": MULTIPLIER,
        "depth": Option(
            integer,
            "to which the network has grown, first number in GAN_GEN_5_10.pth; if not given, all",
        ),
        "alpha": Option(_share, "share of the last resolution in the image, 1 if not given"),
    },
)

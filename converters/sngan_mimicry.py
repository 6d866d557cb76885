"""SNGAN, SSGAN, InfoMax-GAN, WGAN-GP, ResNet-DCGAN, cGAN-PD and SAGAN files of torch-mimicry."""

import math
from collections.abc import Mapping
from typing import Any

from converters.arrays import MAX_BLOCKS, Arrays, bounded, extent, find_arrays, fits
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option, integer, taken
from converters.rules import Rule, conv, scalar, transpose
from converters.spectral import fold_stored
from jaxlatent.generators import SNGANConfig

_CONTAINERS = ("model_state_dict", "netG", "state_dict", "model")
_MARKS = ("l1.bias", "block2.c1.bias", "block2.c2.bias", "block2.c_sc.bias")
_SIGMOID = "but files of DCGANGeneratorCIFAR, which look the same, need sigmoid"
_DCGAN_SIZE = 32  # pixels
_FIRST = 2  # the number of the first block in the file
_ATTENTION = {32: 3, 128: 4}  # by image size, the block that is followed by it; not in the file


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _channels(arrays: Arrays) -> tuple[int, ...]:
    """Returns the width of the first features, then of each block's output."""
    numbers = [int(k[5:-8]) for k in arrays if k.startswith("block") and k[5:-8].isdecimal()
               and k.endswith(".c1.bias") and len(k) < 20]  # fmt: skip
    count = max(numbers, default=_FIRST) - _FIRST + 1
    bounded(count, MAX_BLOCKS, "blocks")
    outputs = [extent(arrays, f"block{_FIRST + i}.c2.weight", 0) for i in range(count)]
    return extent(arrays, "block2.c1.weight", 1), *outputs


def _bottom_width(arrays: Arrays, channels: int) -> int:
    width = extent(arrays, "l1.weight", 0)
    side = math.isqrt(width // max(channels, 1))
    if side * side * channels != width:
        raise ConversionError(
            f"l1.weight gives {width} numbers, which are not {channels} square feature maps"
        )
    return side


def _attention(
    arrays: Arrays, config: SNGANConfig, options: Mapping[str, Any]
) -> tuple[int | None, list[str]]:
    """Returns after which block self-attention follows, counted from 0, and a notice of a guess."""
    if "attn_block.gamma" not in arrays:
        return None, []
    usual = _ATTENTION.get(config.image_size)
    number, notices = taken(options, "attention_block", usual, "as in the published networks")
    if number is None:
        raise ConversionError(
            f"the file does not tell after which block attn_block follows: for images of "
            f"{config.image_size} pixels give the option attention_block={_FIRST} to "
            f"{_FIRST + config.num_blocks - 1}"
        )
    if not 0 <= number - _FIRST < config.num_blocks:
        raise ConversionError(
            f"attention_block={number}: the blocks are {_FIRST} to {_FIRST + config.num_blocks - 1}"
        )
    return int(number) - _FIRST, notices


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = fold_stored(_find(tree))
    channels = _channels(arrays)
    last = _FIRST + len(channels) - 1
    geometry: dict[str, Any] = {
        "z_dim": extent(arrays, "l1.weight", 1),
        "bottom_width": _bottom_width(arrays, channels[0]),
        "channels": channels,
        "img_channels": extent(arrays, f"c{last}.weight", 0),
    }
    if "block2.b1.embed.weight" in arrays:
        geometry["num_classes"] = extent(arrays, "block2.b1.embed.weight", 0)
    config = SNGANConfig(**geometry)
    attention, notices = _attention(arrays, config, options)
    output, more = taken(options, "output_activation", "tanh", _SIGMOID)
    config = SNGANConfig(**geometry, attention=attention, output_activation=output)
    if config.image_size == _DCGAN_SIZE and not config.num_classes and attention is None:
        notices += more  # other sizes have tanh
    counters = [name for name in arrays if name.endswith("num_batches_tracked")]
    return Recipe(config, _rules(config, last), arrays, counters, tuple(notices))


def _rules(config: SNGANConfig, last: int) -> list[Rule]:
    rules = [Rule("l1.weight", "weight", transpose), Rule("l1.bias", "bias")]
    for i in range(config.num_blocks):
        source, target = f"block{_FIRST + i}", f"blocks/{i}"
        for norm, ours in (("b1", "norm1"), ("b2", "norm2")):
            rules += _norm(f"{source}.{norm}", f"{target}/{ours}", bool(config.num_classes))
        for layer, ours in (("c1", "conv1"), ("c2", "conv2"), ("c_sc", "shortcut")):
            rules += _conv(f"{source}.{layer}", f"{target}/{ours}")
    if config.attention is not None:
        target = f"blocks/{config.attention}/attention"
        names = ("theta", "phi", "g", "o")
        rules += [Rule(f"attn_block.{n}.weight", f"{target}/{n}", conv) for n in names]
        rules.append(Rule("attn_block.gamma", f"{target}/gamma", scalar))
    return [*rules, *_norm(f"b{last}", "norm", False), *_conv(f"c{last}", "conv")]


def _conv(source: str, target: str) -> list[Rule]:
    weight = Rule(f"{source}.weight", f"{target}/kernel", conv)
    return [weight, Rule(f"{source}.bias", f"{target}/bias")]


def _norm(source: str, target: str, conditional: bool) -> list[Rule]:
    if conditional:
        rules = [Rule(f"{source}.embed.weight", f"{target}/table")]
        source = f"{source}.bn"
    else:
        rules = [Rule(f"{source}.weight", f"{target}/scale")]
        rules.append(Rule(f"{source}.bias", f"{target}/bias"))
    mean = Rule(f"{source}.running_mean", f"{target}/mean")
    return [*rules, mean, Rule(f"{source}.running_var", f"{target}/variance", nonnegative=True)]


FORMAT = Format(
    name="mimicry-sngan",
    title="torch-mimicry: SNGAN, SSGAN, InfoMax-GAN, WGAN-GP, ResNet-DCGAN, cGAN-PD, SAGAN",
    license="the code is MIT; weights as their author states",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "attention_block": Option(
            integer, "number of the block before self-attention; 3 at 32 pixels, 4 at 128"
        ),
        "output_activation": Option(
            str, "tanh if not given; sigmoid for DCGANGeneratorCIFAR, whose files look the same"
        ),
    },
)

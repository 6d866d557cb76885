"""BigGAN-deep checkpoints of huggingface/pytorch-pretrained-BigGAN, with their config.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from converters.arrays import MAX_LAYERS, Arrays, bounded, extent, find_arrays, fits
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option, integers, positive
from converters.rules import Rule, chain, conv, scalar, transpose
from converters.spectral import fold_stored
from jaxlatent.errors import listed
from jaxlatent.generators import BigGANConfig

_MARKS = ("embeddings.weight", "generator.gen_z.bias", "generator.conv_to_rgb.bias")
_SIDECAR = "config.json"
_EPSILON = 1e-4
_Z_BOUND = 2.0  # standard deviations, of the project's sampler
_COLORS = 3


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, (), _MARKS)


def _modules(arrays: Arrays) -> list[str]:
    """Returns whether each numbered module is "attention" or a "block", in order."""
    kinds: list[str] = []
    while True:
        name = f"generator.layers.{len(kinds)}"
        if f"{name}.gamma" in arrays:
            kinds.append("attention")
        elif f"{name}.conv_0.bias" in arrays:
            kinds.append("block")
        else:
            return kinds
        bounded(len(kinds), MAX_LAYERS, "modules generator.layers.N")


def _config(arrays: Arrays, upsamples: tuple[bool, ...], **fields: Any) -> BigGANConfig:
    kinds = _modules(arrays)
    blocks = [f"generator.layers.{i}" for i, kind in enumerate(kinds) if kind == "block"]
    places = [i for i, kind in enumerate(kinds) if kind == "attention"]
    embed = extent(arrays, "embeddings.weight", 0)
    channels = [extent(arrays, f"{name}.bn_0.running_means", 1) for name in blocks]
    return BigGANConfig(
        z_dim=extent(arrays, "generator.gen_z.weight", 1) - embed,
        num_classes=extent(arrays, "embeddings.weight", 1),
        channels=(*channels, extent(arrays, "generator.bn.running_means", 1)),
        upsamples=upsamples,
        embed_dim=embed,
        attention=tuple(place - i for i, place in enumerate(places)),
        deep=True,
        image_channels=_COLORS,
        num_stats=extent(arrays, "generator.bn.running_means", 0),
        z_bound=_Z_BOUND,
        **fields,
    )


def _statistics(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.running_means", f"{target}/statistics/mean"),
        Rule(f"{source}.running_vars", f"{target}/statistics/variance", nonnegative=True),
    ]


def _block(source: str, target: str) -> list[Rule]:
    rules = []
    for i in range(4):
        norm = f"{target}/norms/{i}"
        rules += [
            *_statistics(f"{source}.bn_{i}", norm),
            Rule(f"{source}.bn_{i}.scale.weight", f"{norm}/gain", transpose),
            Rule(f"{source}.bn_{i}.offset.weight", f"{norm}/bias", transpose),
            Rule(f"{source}.conv_{i}.weight", f"{target}/convs/{i}/kernel", conv),
            Rule(f"{source}.conv_{i}.bias", f"{target}/convs/{i}/bias"),
        ]
    return rules


def _attention(source: str, target: str) -> list[Rule]:
    layers = {"theta": "theta", "phi": "phi", "g": "g", "o_conv": "o"}
    return [
        Rule(f"{source}.gamma", f"{target}/gamma", scalar),
        *(
            Rule(f"{source}.snconv1x1_{theirs}.weight", f"{target}/{ours}", conv)
            for theirs, ours in layers.items()
        ),
    ]


def _colors(array: np.ndarray) -> np.ndarray:
    """Returns the outputs of the last convolution that are used."""
    return array[:_COLORS]


def _rules(config: BigGANConfig) -> list[Rule]:
    rules = [
        Rule("embeddings.weight", "embedding", transpose),
        Rule("generator.gen_z.weight", "first/weight", transpose),
        Rule("generator.gen_z.bias", "first/bias"),
        *_statistics("generator.bn", "norm"),
        Rule("generator.bn.weight", "norm/scale"),
        Rule("generator.bn.bias", "norm/bias"),
        Rule("generator.conv_to_rgb.weight", "to_image/kernel", chain(_colors, conv)),
        Rule("generator.conv_to_rgb.bias", "to_image/bias", _colors),
    ]
    for i, (kind, number) in enumerate(config.sequence()):
        source = f"generator.layers.{i}"
        if kind == "attention":
            rules += _attention(source, f"attentions/{number}")
        else:
            rules += _block(source, f"blocks/{number}")
    return rules


def _layers(sidecar: Any) -> list[tuple[bool, int, int]]:
    """Returns the blocks that config.json lists: upsampling, and two multiples of channels."""
    found = sidecar.get("layers") if isinstance(sidecar, dict) else None
    if not isinstance(found, list) or not all(
        isinstance(layer, list)
        and [type(part) for part in layer] in ([bool, int, int], [int, int, int])
        for layer in found
    ):
        raise ConversionError(
            f"{_SIDECAR}: layers must be a list of [upsample, input multiple, output multiple]"
        )
    return [(bool(layer[0]), layer[1], layer[2]) for layer in found]


def _check(sidecar: Mapping[str, Any], config: BigGANConfig) -> None:
    """Makes sure that config.json describes the file beside it."""
    width = config.channels[-1]
    layers = _layers(sidecar)
    pairs = zip(config.channels[:-1], config.channels[1:], strict=True)
    has = {
        "z_dim": config.z_dim,
        "class_embed_dim": config.embed_dim,
        "num_classes": config.num_classes,
        "channel_width": width,
        "n_stats": config.num_stats,
        "attention_layer_position": config.attention[0] if config.attention else None,
        "output_dim": config.resolution,
    }
    says = {name: sidecar[name] for name in has if name in sidecar}
    if not config.attention:  # then a position beyond the blocks is as good as none
        says.pop("attention_layer_position", None)
    wrong = [
        f"{name} = {value!r} ({has[name]})" for name, value in says.items() if value != has[name]
    ]
    if [(i * width, o * width) for _, i, o in layers] != list(pairs):
        wrong.append(f"layers (channels {list(config.channels)})")
    if wrong:
        raise ConversionError(
            f"{_SIDECAR} does not describe this file (its own in parentheses): {listed(wrong)}"
        )


def _fraction(text: str) -> float:
    value = positive(text)
    if value > 1:
        raise ValueError("expected a number in (0, 1]")
    return value


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = fold_stored(_find(tree))
    blocks = _modules(arrays).count("block")
    notices: list[str] = []
    sidecar = options.get(_SIDECAR)
    epsilon, upsamples = options.get("norm_epsilon"), options.get("upsamples")
    if sidecar is not None:
        layers = _layers(sidecar)
        upsamples = upsamples or tuple(up for up, _, _ in layers)
        epsilon = epsilon or sidecar.get("eps", _EPSILON)
        if type(epsilon) not in (int, float):
            raise ConversionError(f"{_SIDECAR}: eps must be a number, got {epsilon!r}")
    if upsamples is None:
        upsamples = tuple(i % 2 == 1 for i in range(blocks))
        notices.append(
            f"there is no {_SIDECAR} beside the file; every second block doubles the resolution, "
            "as in the published models"
        )
    if epsilon is None:
        epsilon = _EPSILON
        notices.append(f"norm_epsilon is not in the file; {_EPSILON:g} as in the published models")
    if len(upsamples) != blocks:
        raise ConversionError(f"upsamples: {blocks} blocks, but {len(upsamples)} numbers")
    config = _config(
        arrays,
        tuple(bool(up) for up in upsamples),
        norm_epsilon=float(epsilon),
        output_epsilon=float(epsilon),
        truncation=options.get("truncation", 1.0),
    )
    if sidecar is not None:
        _check(sidecar, config)
    return Recipe(config, _rules(config), arrays, notices=tuple(notices))


FORMAT = Format(
    name="huggingface-biggan",
    title="huggingface/pytorch-pretrained-BigGAN",
    license="MIT code; weights converted from DeepMind's on TensorFlow Hub, Apache-2.0",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "truncation": Option(_fraction, "for which statistics are read, in (0, 1], 1 if not given"),
        "upsamples": Option(integers, "for each block 1 if it doubles the resolution, else 0"),
        "norm_epsilon": Option(positive, "of the batch norms, that of config.json if not given"),
    },
    sidecar=_SIDECAR,
)

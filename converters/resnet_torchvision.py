"""ResNets with torchvision's names: ImageNet's own, and predictors of attributes made of them."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import (
    MAX_LAYERS,
    Arrays,
    bounded,
    extent,
    find_arrays,
    fits,
    required,
    state_dicts,
)
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option
from converters.rules import Rule, conv, transpose
from jaxlatent.errors import listed
from jaxlatent.networks import ResNetConfig

_CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
_MARKS = ("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer1.0.conv2.weight")


def batch_norm(source: str, target: str) -> list[Rule]:
    """Returns the rules of a BatchNorm2d."""
    return [
        Rule(f"{source}.weight", f"{target}/scale"),
        Rule(f"{source}.bias", f"{target}/bias"),
        Rule(f"{source}.running_mean", f"{target}/mean"),
        Rule(f"{source}.running_var", f"{target}/variance", nonnegative=True),
    ]


def counters(arrays: Arrays) -> list[str]:
    """Returns the names of the batch norms' counters, which no network needs."""
    return [name for name in arrays if name.endswith("num_batches_tracked")]


def _find(tree: Any) -> Arrays:
    """Returns the ResNet's arrays; whatever prefix its names have is stripped."""
    for arrays in state_dicts(tree, _CONTAINERS):
        mark = _MARKS[2]
        name = next((n for n in arrays if n.endswith(f".{mark}")), mark)
        prefix = name.removesuffix(mark)
        stripped = {n.removeprefix(prefix): array for n, array in arrays.items()}
        if len(stripped) == len(arrays) and all(mark in stripped for mark in _MARKS):
            return stripped
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _config(arrays: Arrays, head: str, version: str) -> ResNetConfig:
    depths: list[int] = []
    widths: list[int] = []
    channels: list[int] = []
    while f"layer{len(depths) + 1}.0.conv1.weight" in arrays:
        name, depth = f"layer{len(depths) + 1}", 0
        while f"{name}.{depth}.conv1.weight" in arrays:
            depth += 1
        if f"{name}.0.conv3.weight" not in arrays:
            raise ConversionError(
                f"{name}.0 has two convolutions: this is a ResNet-18 or -34; only those with "
                "bottlenecks (50, 101, 152, wide) are read"
            )
        width = extent(arrays, f"{name}.0.conv2.weight", 0)
        if extent(arrays, f"{name}.0.conv2.weight", 1) != width:
            raise ConversionError(
                f"{name}.0.conv2 is a grouped convolution: this is a ResNeXt, which is not read"
            )
        depths.append(bounded(depth, MAX_LAYERS, f"blocks in {name}"))
        widths.append(width)
        channels.append(extent(arrays, f"{name}.0.conv3.weight", 0))
        bounded(len(depths), MAX_LAYERS, "stages")
    return ResNetConfig(
        outputs=extent(arrays, head, 0),
        depths=tuple(depths),
        widths=tuple(widths),
        channels=tuple(channels),
        stem=extent(arrays, "conv1.weight", 0),
        in_channels=extent(arrays, "conv1.weight", 1),
        version=version,
    )


def _rules(config: ResNetConfig, head: str) -> list[Rule]:
    rules = [Rule("conv1.weight", "conv/kernel", conv), *batch_norm("bn1", "norm")]
    for stage, depth in enumerate(config.depths):
        for block in range(depth):
            source, target = f"layer{stage + 1}.{block}", f"stages/{stage}/{block}"
            for i in range(3):
                name = f"{source}.conv{i + 1}.weight"
                rules.append(Rule(name, f"{target}/convs/{i}/kernel", conv))
                rules += batch_norm(f"{source}.bn{i + 1}", f"{target}/norms/{i}")
            if config.projected(stage, block):
                name = f"{source}.downsample.0.weight"
                rules.append(Rule(name, f"{target}/shortcut/conv/kernel", conv))
                rules += batch_norm(f"{source}.downsample.1", f"{target}/shortcut/norm")
    bias = f"{head.removesuffix('weight')}bias"
    return [*rules, Rule(head, "weight", transpose), Rule(bias, "bias")]


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    heads = [n for n, a in arrays.items() if a.ndim == 2 and n.endswith(".weight")]
    if len(heads) != 1:
        raise ConversionError(
            f"one linear layer is read after the last stage; the file has {len(heads)}"
            + (f": {listed(heads, 3)}" if heads else "")
        )
    version = options.get("version")
    config = _config(arrays, heads[0], version or "1.5")
    notice = (
        "the file does not tell where blocks have their stride: taken to be version 1.5, "
        "torchvision's (the 3x3 convolution); version=1 puts it on the first 1x1"
    )
    notices = () if version else (notice,)
    return Recipe(config, _rules(config, heads[0]), arrays, counters(arrays), notices)


def _version(text: str) -> str:
    if text not in ("1", "1.5"):
        raise ValueError("expected 1 or 1.5")
    return text


FORMAT = Format(
    name="torchvision-resnet",
    title="torchvision ResNet-50, -101, -152 and wide ones, and predictors fine-tuned from them",
    license="BSD-3-Clause code; weights as their author states",
    matches=lambda tree: fits(lambda: required(_find(tree), _MARKS[0])),
    recipe=_recipe,
    options={"version": Option(_version, "1 has the strides on 1x1 convolutions, 1.5 on 3x3")},
)

"""BigGAN and BigGAN-deep checkpoints of ajbrock/BigGAN-PyTorch (G.pth, G_ema.pth)."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from converters.arrays import MAX_LAYERS, Arrays, averaging, bounded, extent, find_arrays, fits
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option, integer, positive
from converters.rules import Rule, Transform, chain, conv, is_numeric, same, scalar, transpose
from converters.spectral import fold_power_step
from jaxlatent.generators import BigGANConfig

_CONTAINERS = ("G_ema", "G")
_MARKS = (
    "linear.weight",
    "blocks.0.0.conv1.weight",
    "blocks.0.0.bn1.gain.weight",
    "output_layer.0.gain",
    "output_layer.2.weight",
)
_RELU = "the activation (G_nl) is not in the file; relu taken, as in the published networks"
_EPSILON, _HUB_EPSILON = 1e-5, 1e-4
_SMALL_STAGES = 3  # of the only table, 32x32 pixels, whose channels do not tell the depth


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


class _Layout(NamedTuple):
    """What of the network is told by names."""

    deep: bool
    shared: bool
    blocks: list[str]
    attention: tuple[int, ...]

    @property
    def norms(self) -> list[str]:
        """The norms' names, the output's last."""
        count = 4 if self.deep else 2
        inner = [f"{name}.bn{i}" for name in self.blocks for i in range(1, count + 1)]
        return [*inner, "output_layer.0"]


def _layout(arrays: Arrays) -> _Layout:
    blocks: list[str] = []
    while f"blocks.{len(blocks)}.0.conv1.weight" in arrays:
        blocks.append(f"blocks.{len(blocks)}.0")
        bounded(len(blocks), MAX_LAYERS - 1, "blocks")
    attention = [i + 1 for i in range(len(blocks)) if f"blocks.{i}.1.gamma" in arrays]
    return _Layout(
        deep="blocks.0.0.conv4.weight" in arrays,
        shared="shared.weight" in arrays,
        blocks=blocks,
        attention=tuple(attention),
    )


def _depth(channels: tuple[int, ...], given: int | None) -> tuple[int, str]:
    """Returns how many blocks there are for each resolution of a BigGAN-deep, and a notice.

    It is 2 wherever the channels change, for which the original works with no other depth.
    """
    blocks = len(channels) - 1
    depth, notice = 2 if given is None else given, ""
    if given is None and len(set(channels)) == 1 and blocks % _SMALL_STAGES == 0:
        depth = blocks // _SMALL_STAGES
    if given is None and depth != 2:
        notice = f"depth is not in the file; {depth} makes images of 32x32 pixels"
    if not depth or blocks % depth:
        raise ConversionError(
            f"{blocks} blocks are no multiple of the depth {depth}: give the option depth=..., the "
            "number of blocks for each resolution"
        )
    return depth, notice


def _config(
    arrays: Arrays, layout: _Layout, epsilon: float, depth: int | None
) -> tuple[BigGANConfig, str]:
    last = 4 if layout.deep else 2
    outputs = [extent(arrays, f"{name}.conv{last}.weight", 0) for name in layout.blocks]
    channels = (extent(arrays, "blocks.0.0.conv1.weight", 1), *outputs)
    if depth is not None and not layout.deep:
        raise ConversionError("the option depth is for BigGAN-deep; this file is of a BigGAN")
    deep_depth, notice = _depth(channels, depth) if layout.deep else (1, "")
    part = extent(arrays, "linear.weight", 1)
    if layout.shared:
        classes, embed = (extent(arrays, "shared.weight", axis) for axis in (0, 1))
        extra = extent(arrays, "blocks.0.0.bn1.gain.weight", 1) - embed
    else:
        classes, embed, extra = extent(arrays, "blocks.0.0.bn1.gain.weight", 0), 0, 0
    z_dim = part - embed if layout.deep else part * (len(channels) if extra else 1)
    width = extent(arrays, "linear.weight", 0) / channels[0] if channels[0] else 0
    bottom = math.isqrt(int(width))
    if bottom**2 != width:
        raise ConversionError(
            f"linear.weight has {width * channels[0]:g} outputs, which are no square image of "
            f"{channels[0]} channels"
        )
    config = BigGANConfig(
        z_dim=z_dim,
        num_classes=classes,
        channels=channels,
        upsamples=tuple((i + 1) % deep_depth == 0 for i in range(len(outputs))),
        embed_dim=embed,
        attention=layout.attention,
        deep=layout.deep,
        hierarchical=bool(layout.deep or extra),
        bottom_width=bottom,
        image_channels=extent(arrays, "output_layer.2.weight", 0),
        norm_epsilon=epsilon,
    )
    return config, notice


def _statistics(
    arrays: Arrays, layout: _Layout, standing: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Gives the statistics one name whatever layer kept them, and divides sums.

    Standing statistics (`--mybn`) are sums over `accumulation_counter` batches.
    """
    renamed, notices = dict(arrays), []
    for norm in layout.norms:
        renamed.pop(f"{norm}.bn.num_batches_tracked", None)
        batches = _count(renamed.get(f"{norm}.bn.accumulation_counter"))
        if batches is not None:
            del renamed[f"{norm}.bn.accumulation_counter"]
        for leaf, running in (("stored_mean", "running_mean"), ("stored_var", "running_var")):
            for theirs in (f"{norm}.bn.{leaf}", f"{norm}.bn.{running}"):
                if theirs in renamed:
                    renamed[f"{norm}.{leaf}"] = renamed.pop(theirs)
            value = renamed.get(f"{norm}.{leaf}")
            if value is None or not batches or not is_numeric(value.dtype):
                continue
            if standing == "ignore":
                notices.append("the norms hold sums of standing statistics, taken as they are")
                continue
            renamed[f"{norm}.{leaf}"] = value.astype(np.float64) / batches
            notices.append(
                f"the norms hold sums of standing statistics, divided by {batches:g}; the option "
                "standing=ignore takes them as they are"
            )
    if "output_layer.0.bn.running_mean" in arrays:
        notices.append(
            "the norms are of the kind that is synchronised over devices: scales multiply, as in "
            "training; the original adds them by mistake when it evaluates"
        )
    return renamed, list(dict.fromkeys(notices))


def _count(counter: np.ndarray | None) -> float | None:
    """Returns how many batches were summed up, or `None` if that is no count."""
    if counter is None or counter.size != 1 or not is_numeric(counter.dtype):
        return None
    count = float(counter.reshape(()))
    return count if 0 <= count < math.inf else None


def _neutral(arrays: dict[str, np.ndarray], layout: _Layout, epsilon: float) -> tuple[str, ...]:
    """Adds statistics that change nothing where no norm of a block has any; returns a notice.

    So it is with `--norm_style nonorm`; those of the output are always there.
    """
    norms = layout.norms[:-1]
    if any(f"{norm}.{leaf}" in arrays for norm in norms for leaf in ("stored_mean", "stored_var")):
        return ()
    for norm in norms:
        width = extent(arrays, f"{norm}.gain.weight", 0 if layout.shared else 1)
        arrays[f"{norm}.stored_mean"] = np.broadcast_to(np.float32(0), width)
        arrays[f"{norm}.stored_var"] = np.broadcast_to(np.float64(1 - epsilon), width)
    return ("the blocks' norms have no statistics; they scale and shift without normalising",)


def _class_last(embed: int) -> Transform:
    """Returns the transform that puts the columns of the class after those of z."""
    return lambda array: np.roll(array, -embed, axis=1)


def _channels_last(config: BigGANConfig) -> Transform:
    """Returns the transform that reorders the first layer's outputs from CHW to HWC."""
    side = config.bottom_width

    def reordered(array: np.ndarray) -> np.ndarray:
        maps = array.reshape(config.channels[0], side, side, *array.shape[1:])
        return np.moveaxis(maps, 0, 2).reshape(array.shape)

    return reordered


def _norm(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.stored_mean", f"{target}/statistics/mean", np.atleast_2d),
        Rule(f"{source}.stored_var", f"{target}/statistics/variance", np.atleast_2d, True),
    ]


def _conv(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.weight", f"{target}/kernel", conv),
        Rule(f"{source}.bias", f"{target}/bias"),
    ]


def _rules(config: BigGANConfig, layout: _Layout) -> list[Rule]:
    embed = config.embed_dim
    column = chain(_class_last(embed), transpose) if layout.shared else same
    first = chain(_class_last(embed), transpose) if layout.deep else transpose
    reordered = _channels_last(config)
    rules = [
        Rule("linear.weight", "first/weight", chain(reordered, first)),
        Rule("linear.bias", "first/bias", reordered),
        *_norm("output_layer.0", "norm"),
        Rule("output_layer.0.gain", "norm/scale"),
        Rule("output_layer.0.bias", "norm/bias"),
        *_conv("output_layer.2", "to_image"),
    ]
    if layout.shared:
        rules.append(Rule("shared.weight", "embedding"))
    for i, source in enumerate(layout.blocks):
        for j in range(4 if layout.deep else 2):
            norm = f"blocks/{i}/norms/{j}"
            rules += [
                *_norm(f"{source}.bn{j + 1}", norm),
                Rule(f"{source}.bn{j + 1}.gain.weight", f"{norm}/gain", column),
                Rule(f"{source}.bn{j + 1}.bias.weight", f"{norm}/bias", column),
                *_conv(f"{source}.conv{j + 1}", f"blocks/{i}/convs/{j}"),
            ]
        if not layout.deep:
            rules += _conv(f"{source}.conv_sc", f"blocks/{i}/shortcut")
    for i, place in enumerate(config.attention):
        source, target = f"blocks.{place - 1}.1", f"attentions/{i}"
        rules.append(Rule(f"{source}.gamma", f"{target}/gamma", scalar))
        rules += [
            Rule(f"{source}.{name}.weight", f"{target}/{name}", conv)
            for name in ("theta", "phi", "g", "o")
        ]
    return rules


def _epsilon(arrays: Arrays) -> tuple[float, str]:
    """Guesses what is added to the variances: conversions from TensorFlow Hub lack `sv0`."""
    leaves = {name.rpartition(".")[2] for name in arrays}
    if "u0" in leaves and "sv0" not in leaves:
        return _HUB_EPSILON, (
            f"norm_epsilon is not in the file; {_HUB_EPSILON:g}, as it seems to be converted from "
            "TensorFlow Hub (it has u0 but no sv0)"
        )
    return _EPSILON, f"norm_epsilon is not in the file; {_EPSILON:g}, the training's default"


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    found = _find(tree)
    layout = _layout(found)
    guess, guessed = _epsilon(found)
    epsilon = options.get("norm_epsilon", guess)
    folded = fold_power_step(found)
    arrays, notices = _statistics(folded, layout, options.get("standing", "average"))
    notices += _neutral(arrays, layout, epsilon)
    config, notice = _config(arrays, layout, epsilon, options.get("depth"))
    notices += [text for text in ("" if "norm_epsilon" in options else guessed, notice) if text]
    notices += [_RELU, *averaging(tree, *_CONTAINERS)]
    return Recipe(config, _rules(config, layout), arrays, notices=tuple(notices))


def _standing(text: str) -> str:
    if text not in ("average", "ignore"):
        raise ValueError("expected average or ignore")
    return text


FORMAT = Format(
    name="pytorch-biggan",
    title="ajbrock/BigGAN-PyTorch",
    license="MIT code; weights as their trainer states",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "norm_epsilon": Option(
            positive, "BN_eps of the training, 1e-5 (from TensorFlow Hub 1e-4) if not given"
        ),
        "standing": Option(
            _standing, "sums of standing statistics: average (the default), or ignore the count"
        ),
        "depth": Option(integer, "G_depth of a BigGAN-deep, 2 in all published ones"),
    },
)

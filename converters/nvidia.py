"""What files of NVIDIA's PyTorch StyleGANs have in common: modules and a mapping network."""

from collections.abc import Mapping, Sequence
from typing import Any

from converters.arrays import MAX_LAYERS, Arrays, averaging, bounded, contents, extent
from converters.errors import ConversionError
from converters.rules import Rule, transpose

CONTAINERS = ("G_ema", "g_ema", "G", "state_dict", "model")  # of state dicts, best first


def child(node: Any, *names: str) -> Any:
    """Returns the module at a path of a pickled module, or `None`."""
    for name in names:
        modules = node.get("_modules") if isinstance(node, dict) else None
        node = modules.get(name) if isinstance(modules, dict) else None
    return node if isinstance(node, dict) else None


def generator(tree: Any, modules: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """Returns the pickled generator whose synthesis network has `modules`, and notices.

    It is G_ema of a training snapshot, else its G, else the root itself.
    """
    if not isinstance(tree, dict):
        return None
    for node in (tree.get("G_ema"), tree.get("G"), tree):
        parts = [child(node, "synthesis", name) for name in modules]
        if isinstance(node, dict) and None not in (child(node, "mapping"), *parts):
            return node, tuple(averaging(tree, "G_ema", "G"))
    return None


def found(tree: Any, modules: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns what `generator` does, or raises `ConversionError`."""
    result = generator(tree, modules)
    if result is None:
        raise ConversionError(
            "the names do not fit this format: missing G_ema with mapping and synthesis."
            f"{modules[0]}; the file has {contents(tree)}"
        )
    return result


def attribute(module: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """Returns an attribute of a pickled module, which must be there and of this type."""
    if not isinstance(module, dict) or not isinstance(module.get(name, ...), kind):
        raise ConversionError(f"the pickled layers have no {name}, or an odd one")
    return module[name]


def mapping_sizes(arrays: Arrays) -> dict[str, Any]:
    """Returns the sizes of a mapping network, as keywords of a config."""
    layers = 0
    while f"mapping.fc{layers}.weight" in arrays:
        layers += 1
    layers = max(1, bounded(layers, MAX_LAYERS, "mapping layers"))
    widths = tuple(extent(arrays, f"mapping.fc{i}.weight", 0) for i in range(layers))
    conditional = "mapping.embed.weight" in arrays
    embed_dim = extent(arrays, "mapping.embed.weight", 0) if conditional else 0
    return {
        "z_dim": extent(arrays, "mapping.fc0.weight", 1) - embed_dim,
        "w_dim": widths[-1],
        "c_dim": extent(arrays, "mapping.embed.weight", 1) if conditional else 0,
        "mapping_widths": widths,
        "embed_dim": embed_dim,
        "has_w_avg": "mapping.w_avg" in arrays,
    }


def mapping_attributes(node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a pickled mapping network says beside its arrays, as keywords of a config."""
    fc0 = child(node, "mapping", "fc0")
    return {
        "mapping_lr_multiplier": float(attribute(fc0, "bias_gain", (int, float))),
        "mapping_activation": attribute(fc0, "activation", str),
    }


def dense(source: str, target: str) -> list[Rule]:
    """Returns the rules of a fully connected layer."""
    return [
        Rule(f"{source}.weight", f"{target}/weight", transpose),
        Rule(f"{source}.bias", f"{target}/bias"),
    ]


def mapping_rules(config: Any) -> list[Rule]:
    """Returns the rules of a mapping network."""
    rules = []
    for i in range(len(config.mapping_widths)):
        rules += dense(f"mapping.fc{i}", f"mapping/layers/{i}")
    if config.c_dim:
        rules += dense("mapping.embed", "mapping/embed")
    if config.has_w_avg:
        rules.append(Rule("mapping.w_avg", "mapping/w_avg"))
    return rules

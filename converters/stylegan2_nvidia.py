"""StyleGAN2 pickles of NVlabs/stylegan2-ada-pytorch and NVlabs/stylegan3."""

from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from converters.errors import ConversionError
from converters.formats import (
    MAX_BLOCKS,
    MAX_LAYERS,
    Arrays,
    Format,
    Recipe,
    bounded,
    extent,
    module_arrays,
    required,
    summary,
)
from converters.rules import Rule, channels_last, conv, flipped_conv, is_numeric, transpose
from jaxlatent.generators import StyleGAN2Config

_MAX_TAPS = 64


def _generator_node(tree: Any) -> dict[str, Any] | None:
    """Returns the pickled generator: G_ema of a training snapshot, or the root itself."""
    if not isinstance(tree, dict):
        return None
    node = tree.get("G_ema", tree)
    synthesis = _child(node, "synthesis")
    complete = None not in (_child(synthesis, "b4"), _child(node, "mapping"))
    return node if complete else None


def _child(node: Any, *names: str) -> Any:
    for name in names:
        modules = node.get("_modules") if isinstance(node, dict) else None
        node = modules.get(name) if isinstance(modules, dict) else None
    return node if isinstance(node, dict) else None


def taps(kernel: np.ndarray) -> tuple[float, ...]:
    """Returns the 1-D taps, sum 1, of a stored filter of one or two dimensions.

    Raises:
        ConversionError: if the filter is not the product of one set of taps with itself.

    Example:
        >>> taps(np.outer([1, 3, 3, 1], [1, 3, 3, 1]))
        (0.125, 0.375, 0.375, 0.125)
    """
    sides = set(kernel.shape)
    if kernel.ndim in (1, 2) and len(sides) == 1 and max(sides) <= _MAX_TAPS:
        values = _taps(kernel) if is_numeric(kernel.dtype) else None
        if values is not None:
            return tuple(float(round(v, 9)) for v in values)
    raise ConversionError("a resampling filter is not the product of 1-D taps of sum 1")


def _taps(kernel: np.ndarray) -> np.ndarray | None:
    with np.errstate(all="ignore"):
        kernel = kernel.astype(np.float64)
        kernel = kernel / kernel.sum()
        values = kernel.sum(axis=0) if kernel.ndim == 2 else kernel
        product = np.outer(values, values) if kernel.ndim == 2 else values
        good = np.isclose(values.sum(), 1) and np.allclose(product, kernel, atol=1e-6)
    return values if good else None


def _attribute(module: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """Returns an attribute of a pickled module, which must be there and of this type."""
    if not isinstance(module, dict) or not isinstance(module.get(name, ...), kind):
        raise ConversionError(f"the pickled layers have no {name}, or an odd one")
    return module[name]


def _count(module: dict[str, Any], prefix: str) -> int:
    return sum(1 for name in module.get("_modules", {}) if name.startswith(prefix))


def _config(node: dict[str, Any], arrays: Arrays) -> StyleGAN2Config:
    """Reads the config from the modules' attributes and the arrays' shapes."""
    mapping, synthesis = _child(node, "mapping"), _child(node, "synthesis")
    b4, conv1 = _child(synthesis, "b4"), _child(synthesis, "b4", "conv1")
    fc0 = _child(mapping, "fc0")
    blocks = bounded(_count(synthesis, "b"), MAX_BLOCKS, "resolutions")
    layers = bounded(_count(mapping, "fc"), MAX_LAYERS, "mapping layers")
    clamp = _attribute(conv1, "conv_clamp", (int, float, NoneType))
    conditional = "mapping.embed.weight" in arrays
    embed_dim = extent(arrays, "mapping.embed.weight", 0) if conditional else 0
    widths = tuple(extent(arrays, f"mapping.fc{i}.weight", 0) for i in range(layers))
    return StyleGAN2Config(
        channels=tuple(
            extent(arrays, f"synthesis.b{4 << i}.conv1.weight", 0) for i in range(blocks)
        ),
        z_dim=extent(arrays, "mapping.fc0.weight", 1) - embed_dim,
        w_dim=widths[-1],
        c_dim=extent(arrays, "mapping.embed.weight", 1) if conditional else 0,
        img_channels=extent(arrays, f"synthesis.b{4 << (blocks - 1)}.torgb.weight", 0),
        mapping_widths=widths,
        embed_dim=embed_dim,
        mapping_lr_multiplier=float(_attribute(fc0, "bias_gain", (int, float))),
        mapping_activation=_attribute(fc0, "activation", str),
        activation=_attribute(conv1, "activation", str),
        architecture=_attribute(b4, "architecture", str),
        resample_filter=taps(arrays.get("synthesis.b8.conv0.resample_filter", np.ones(1))),
        image_filter=taps(required(arrays, "synthesis.b4.resample_filter")),
        conv_clamp=None if clamp is None else float(clamp),
        use_noise="synthesis.b4.conv1.noise_const" in arrays,
        has_w_avg="mapping.w_avg" in arrays,
    )


def _dense(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.weight", f"{target}/weight", transpose),
        Rule(f"{source}.bias", f"{target}/bias"),
    ]


def _styled_conv(source: str, target: str, up: bool, noise: bool) -> list[Rule]:
    rules = _dense(f"{source}.affine", f"{target}/affine")
    rules.append(Rule(f"{source}.weight", f"{target}/kernel", flipped_conv if up else conv))
    rules.append(Rule(f"{source}.bias", f"{target}/bias"))
    if noise:
        rules.append(Rule(f"{source}.noise_const", f"{target}/noise"))
        rules.append(Rule(f"{source}.noise_strength", f"{target}/noise_strength"))
    return rules


def _rules(config: StyleGAN2Config) -> list[Rule]:
    rules = [Rule("synthesis.b4.const", "const", channels_last)]
    for i in range(len(config.mapping_widths)):
        rules += _dense(f"mapping.fc{i}", f"mapping/layers/{i}")
    if config.c_dim:
        rules += _dense("mapping.embed", "mapping/embed")
    if config.has_w_avg:
        rules.append(Rule("mapping.w_avg", "mapping/w_avg"))
    for i in range(len(config.channels)):
        source, target = f"synthesis.b{4 << i}", f"blocks/{i}"
        if i:
            up = _styled_conv(f"{source}.conv0", f"{target}/conv0", True, config.use_noise)
            rules += up
        rules += _styled_conv(f"{source}.conv1", f"{target}/conv1", False, config.use_noise)
        if config.has_rgb(i):
            rules += _dense(f"{source}.torgb.affine", f"{target}/torgb/affine")
            rules.append(Rule(f"{source}.torgb.weight", f"{target}/torgb/kernel", conv))
            rules.append(Rule(f"{source}.torgb.bias", f"{target}/torgb/bias"))
        if i and config.architecture == "resnet":
            rules.append(Rule(f"{source}.skip.weight", f"{target}/skip", conv))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    node = _generator_node(tree)
    if node is None:
        raise ConversionError(
            "the names do not fit this format: missing G_ema with mapping and synthesis.b4; the "
            f"file has {summary(tree)}"
        )
    arrays = module_arrays(node)
    config = _config(node, arrays)
    filters = [k for k in arrays if k.endswith("resample_filter")]
    return Recipe(config, _rules(config), arrays, filters)


FORMAT = Format(
    name="nvidia-stylegan2",
    title="NVlabs/stylegan2-ada-pytorch and stylegan3, StyleGAN2 pickles",
    license="NVIDIA Source Code License (non-commercial) for NVIDIA's own weights",
    matches=lambda tree: _generator_node(tree) is not None,
    recipe=_recipe,
    options={},
)

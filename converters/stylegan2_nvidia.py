"""StyleGAN2 pickles of NVlabs/stylegan2-ada-pytorch and NVlabs/stylegan3."""

from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from converters.arrays import MAX_BLOCKS, Arrays, bounded, extent, module_arrays, required
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.nvidia import (
    attribute,
    child,
    dense,
    found,
    generator,
    mapping_attributes,
    mapping_rules,
    mapping_sizes,
)
from converters.rules import Rule, channels_last, conv, flipped_conv, is_numeric
from jaxlatent.generators import StyleGAN2Config

_MODULES = ("b4",)
_MAX_TAPS = 64


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


def config_of(arrays: Arrays, **known: Any) -> StyleGAN2Config:
    """Returns the config that the arrays' shapes and what else is `known` tell."""
    blocks = 0
    while f"synthesis.b{4 << blocks}.conv1.weight" in arrays:
        blocks += 1
    blocks = max(1, bounded(blocks, MAX_BLOCKS, "resolutions"))
    return StyleGAN2Config(
        channels=tuple(
            extent(arrays, f"synthesis.b{4 << i}.conv1.weight", 0) for i in range(blocks)
        ),
        img_channels=extent(arrays, f"synthesis.b{4 << (blocks - 1)}.torgb.weight", 0),
        resample_filter=taps(arrays.get("synthesis.b8.conv0.resample_filter", np.ones(1))),
        image_filter=taps(required(arrays, "synthesis.b4.resample_filter")),
        use_noise="synthesis.b4.conv1.noise_const" in arrays,
        **known,
    )


def _config(node: dict[str, Any], arrays: Arrays) -> StyleGAN2Config:
    """Reads the config from the modules' attributes and the arrays' shapes."""
    b4, conv1 = child(node, "synthesis", "b4"), child(node, "synthesis", "b4", "conv1")
    clamp = attribute(conv1, "conv_clamp", (int, float, NoneType))
    return config_of(
        arrays,
        activation=attribute(conv1, "activation", str),
        architecture=attribute(b4, "architecture", str),
        conv_clamp=None if clamp is None else float(clamp),
        **mapping_sizes(arrays),
        **mapping_attributes(node),
    )


def _styled_conv(source: str, target: str, up: bool, noise: bool) -> list[Rule]:
    rules = dense(f"{source}.affine", f"{target}/affine")
    rules.append(Rule(f"{source}.weight", f"{target}/kernel", flipped_conv if up else conv))
    rules.append(Rule(f"{source}.bias", f"{target}/bias"))
    if noise:
        rules.append(Rule(f"{source}.noise_const", f"{target}/noise"))
        rules.append(Rule(f"{source}.noise_strength", f"{target}/noise_strength"))
    return rules


def rules_of(config: StyleGAN2Config) -> list[Rule]:
    """Returns the rules of all parameters."""
    rules = [Rule("synthesis.b4.const", "const", channels_last), *mapping_rules(config)]
    for i in range(len(config.channels)):
        source, target = f"synthesis.b{4 << i}", f"blocks/{i}"
        if i:
            up = _styled_conv(f"{source}.conv0", f"{target}/conv0", True, config.use_noise)
            rules += up
        rules += _styled_conv(f"{source}.conv1", f"{target}/conv1", False, config.use_noise)
        if config.has_rgb(i):
            rules += dense(f"{source}.torgb.affine", f"{target}/torgb/affine")
            rules.append(Rule(f"{source}.torgb.weight", f"{target}/torgb/kernel", conv))
            rules.append(Rule(f"{source}.torgb.bias", f"{target}/torgb/bias"))
        if i and config.architecture == "resnet":
            rules.append(Rule(f"{source}.skip.weight", f"{target}/skip", conv))
    return rules


def filters(arrays: Arrays) -> list[str]:
    """Returns the names of the stored filters, which the config holds."""
    return [name for name in arrays if name.endswith("resample_filter")]


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    node, notices = found(tree, _MODULES)
    arrays = module_arrays(node)
    config = _config(node, arrays)
    return Recipe(config, rules_of(config), arrays, filters(arrays), notices)


FORMAT = Format(
    name="nvidia-stylegan2",
    title="NVlabs/stylegan2-ada-pytorch and stylegan3, StyleGAN2 pickles",
    license="NVIDIA Source Code License (non-commercial) for NVIDIA's own weights",
    matches=lambda tree: generator(tree, _MODULES) is not None,
    recipe=_recipe,
    options={},
)

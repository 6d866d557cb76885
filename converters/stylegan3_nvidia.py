"""StyleGAN3 pickles of NVlabs/stylegan3, configurations T and R."""

import re
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np

from converters.arrays import MAX_LAYERS, Arrays, bounded, extent, module_arrays
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
from converters.rules import Rule, conv, is_numeric, scalar, transpose
from jaxlatent.errors import UserError
from jaxlatent.generators import Filter, Resampling, StyleGAN3Config, StyleGAN3Layer
from jaxlatent.generators.alias_free import MAX_TAPS

_MODULES = ("input",)
_LAYER = re.compile(r"L(\d{1,3})_\d+_\d+")
_NEGLIGIBLE = 1e-7  # of a filter's largest singular value: the rounding of float32


def layer_names(names: Sequence[Any]) -> list[str]:
    """Returns the names of layers, L0_36_512 and so on, in the order of their numbers.

    Raises:
        ConversionError: if the numbers are not 0, 1, 2 and so on.

    Example:
        >>> layer_names(["input", "L1_36_512", "L0_36_512"])
        ['L0_36_512', 'L1_36_512']
    """
    matches = [m for m in (_LAYER.fullmatch(n) for n in names if isinstance(n, str)) if m]
    bounded(len(matches), MAX_LAYERS - 1, "layers")
    matches.sort(key=lambda m: int(m[1]))
    if not matches or [int(m[1]) for m in matches] != list(range(len(matches))):
        raise ConversionError(
            f"the synthesis network's layers are not L0_..., L1_... and so on, but "
            f"{[m[0] for m in matches]}"
        )
    return [m[0] for m in matches]


def filter_of(taps: np.ndarray | None) -> Filter:
    """Returns a stored filter, separable [t] or radial [t, t], as a sum of separable ones.

    Raises:
        ConversionError: if it is neither, or not of finite numbers.

    Example:
        >>> len(filter_of(np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0])).rows)
        1
    """
    if taps is None:
        return Filter()
    if taps.ndim not in (1, 2) or not is_numeric(taps.dtype) or len(set(taps.shape)) != 1:
        raise ConversionError(f"a filter must be [t] or [t, t] numbers, got {list(taps.shape)}")
    bounded(len(taps), MAX_TAPS, "taps of a filter")
    with np.errstate(all="ignore"):
        values = taps.astype(np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ConversionError("a filter has taps that are not finite, or none")
    if values.ndim == 1:
        return Filter.separable(values.tolist())
    left, sizes, right = np.linalg.svd(values)
    terms = max(1, int((sizes > _NEGLIGIBLE * sizes[0]).sum()))
    roots = np.sqrt(sizes[:terms, None])
    rows, columns = left.T[:terms] * roots, right[:terms] * roots
    return Filter(tuple(map(tuple, rows.tolist())), tuple(map(tuple, columns.tolist())))


def config_of(
    arrays: Arrays,
    names: Sequence[str],
    resamplings: Sequence[Resampling],
    sizes: Sequence[int],
    **known: Any,
) -> StyleGAN3Config:
    """Returns the config that the arrays' shapes and what else is `known` tell.

    Args:
        arrays: the file's arrays by name.
        names: the layers' names.
        resamplings: of each layer.
        sizes: the side of the Fourier features and of each layer's output, to be checked.
        known: other fields of the config.
    """
    weights = [f"synthesis.{name}.weight" for name in names]
    layers = tuple(
        StyleGAN3Layer(extent(arrays, weight, 0), extent(arrays, weight, 2), resampling)
        for weight, resampling in zip(weights, resamplings, strict=True)
    )
    try:
        config = StyleGAN3Config(
            layers=layers,
            input_size=sizes[0],
            input_channels=extent(arrays, "synthesis.input.freqs", 0),
            **known,
        )
    except UserError as error:
        raise ConversionError(f"the file describes no StyleGAN3: {error}") from None
    if config.sides != tuple(sizes):
        raise ConversionError(
            f"the layers' sides should be {list(sizes)}, their filters and paddings give "
            f"{list(config.sides)}"
        )
    return config


def _side(module: Any, name: str) -> int:
    """Returns the side of a square, stored as a number or as [width, height]."""
    value = attribute(module, name, (int, np.ndarray))
    sides = set(np.ravel(value).tolist()) if np.ndim(value) < 2 and np.size(value) < 3 else set()
    side = sides.pop() if len(sides) == 1 else None
    if not isinstance(side, int):
        raise ConversionError(f"the pickled layers' {name} is not the side of a square")
    return side


def _padding(module: Any) -> tuple[int, int]:
    padding = attribute(module, "padding", (list, tuple))
    if len(padding) != 4 or any(type(p) is not int for p in padding):
        raise ConversionError("the pickled layers' padding is not 4 whole numbers")
    left, right, top, bottom = padding
    if (left, right) != (top, bottom):
        raise ConversionError(f"padding that differs between the axes is not read: {padding}")
    return left, right


def _resampling(module: Any, arrays: Arrays, name: str) -> Resampling:
    try:
        return Resampling(
            up=attribute(module, "up_factor", int),
            down=attribute(module, "down_factor", int),
            padding=_padding(module),
            up_filter=filter_of(arrays.get(f"synthesis.{name}.up_filter")),
            down_filter=filter_of(arrays.get(f"synthesis.{name}.down_filter")),
        )
    except UserError as error:
        raise ConversionError(f"{name} of the pickled modules: {error}") from None


def _config(node: dict[str, Any], arrays: Arrays) -> StyleGAN3Config:
    """Reads the config from the modules' attributes and the arrays' shapes."""
    synthesis, features = child(node, "synthesis"), child(node, "synthesis", "input")
    names = layer_names(list(synthesis["_modules"]))
    layers = [child(synthesis, name) for name in names]
    images = [attribute(layer, "is_torgb", bool) for layer in layers]
    if images != [False] * (len(names) - 1) + [True]:
        raise ConversionError("not the last layer alone makes the image")
    clamps = {attribute(layer, "conv_clamp", (int, float, NoneType)) for layer in layers}
    if len(clamps) != 1:
        raise ConversionError(
            f"layers of different conv_clamp are not read: {sorted(map(str, clamps))}"
        )
    (clamp,) = clamps
    return config_of(
        arrays,
        names,
        [_resampling(x, arrays, name) for x, name in zip(layers, names, strict=True)],
        [_side(features, "size"), *(_side(layer, "out_size") for layer in layers)],
        input_rate=float(attribute(features, "sampling_rate", (int, float))),
        input_bandwidth=float(attribute(features, "bandwidth", (int, float))),
        output_scale=float(attribute(synthesis, "output_scale", (int, float))),
        conv_clamp=None if clamp is None else float(clamp),
        **mapping_sizes(arrays),
        **mapping_attributes(node),
    )


def rules_of(config: StyleGAN3Config, names: Sequence[str]) -> list[Rule]:
    """Returns the rules of all parameters."""
    source, target = "synthesis.input", "input"
    rules = [
        *mapping_rules(config),
        *dense(f"{source}.affine", f"{target}/affine"),
        Rule(f"{source}.weight", f"{target}/weight", transpose),
        Rule(f"{source}.freqs", f"{target}/frequencies"),
        Rule(f"{source}.phases", f"{target}/phases"),
        Rule(f"{source}.transform", f"{target}/transform"),
    ]
    for i, name in enumerate(names):
        source, target = f"synthesis.{name}", f"layers/{i}"
        rules += [
            *dense(f"{source}.affine", f"{target}/affine"),
            Rule(f"{source}.weight", f"{target}/kernel", conv),
            Rule(f"{source}.bias", f"{target}/bias"),
            Rule(f"{source}.magnitude_ema", f"{target}/variance", scalar, nonnegative=True),
        ]
    return rules


def filters(arrays: Arrays) -> list[str]:
    """Returns the names of the stored filters, which the config holds."""
    return [name for name in arrays if name.endswith((".up_filter", ".down_filter"))]


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    node, notices = found(tree, _MODULES)
    arrays = module_arrays(node)
    config = _config(node, arrays)
    names = layer_names(list(child(node, "synthesis")["_modules"]))
    return Recipe(config, rules_of(config, names), arrays, filters(arrays), notices)


FORMAT = Format(
    name="nvidia-stylegan3",
    title="NVlabs/stylegan3, StyleGAN3 pickles",
    license="NVIDIA Source Code License (non-commercial) for NVIDIA's own weights",
    matches=lambda tree: generator(tree, _MODULES) is not None,
    recipe=_recipe,
    options={},
)

"""PGGAN checkpoints of genforce/genforce and genforce/sefa."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from converters.arrays import Arrays, averaging, extent, find_arrays, fits, required
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option, integer, taken
from converters.progressive import OUTPUT_ACTIVATION, growing, level_of_detail, resolutions, switch
from converters.rules import Rule, conv, flipped_conv, transposed_conv
from jaxlatent.errors import listed
from jaxlatent.generators import PGGANConfig

_CONTAINERS = ("generator_smooth", "generator")
_LABELS = "so all of the first layer's inputs are z's"
_MARKS = ("layer0.weight", "layer0.bias", "layer1.weight", "output0.weight")


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _config(arrays: Arrays, classes: int, output: str) -> PGGANConfig:
    blocks = resolutions(arrays, "output{}.weight")
    return PGGANConfig(
        channels=tuple(extent(arrays, f"layer{2 * i + 1}.weight", 0) for i in range(blocks)),
        z_dim=extent(arrays, "layer0.weight", 1) - classes,
        c_dim=classes,
        img_channels=extent(arrays, f"output{blocks - 1}.weight", 0),
        normalize_z=True,
        lod=level_of_detail(arrays, "lod"),
        output_activation=output,
    )


def _is_fused(
    arrays: Arrays, config: PGGANConfig, given: bool | None
) -> tuple[bool, tuple[str, ...]]:
    """Tells fused layers, stored [in, out, 3, 3], from others where the two widths differ.

    Returns:
        Whether they are fused, and a notice if that is a guess.

    Raises:
        ConversionError: if the user says what the shapes do not.
    """
    names = [f"layer{2 * i}.weight" for i in range(1, config.depth)]
    told = {
        required(arrays, name).shape[:2] == widths
        for name, widths in zip(names, pairwise(config.channels), strict=True)
        if widths[0] != widths[1]
    }
    if given is not None and told and told != {given}:
        raise ConversionError(f"fused_scale={given} does not fit the shapes of {listed(names, 3)}")
    if given is not None or told or not names:
        return given or told == {True}, ()
    return False, (
        "fused_scale is not in the file and its shapes do not tell; false taken, as by default",
    )


def _rules(config: PGGANConfig, fused: bool) -> list[Rule]:
    rules = []
    for i in range(2 * config.depth):
        target = f"blocks/{i // 2}/conv{i % 2}"
        up = transposed_conv if fused else conv
        kernel = flipped_conv if i == 0 else conv if i % 2 else up
        rules.append(Rule(f"layer{i}.weight", f"{target}/kernel", kernel))
        rules.append(Rule(f"layer{i}.bias", f"{target}/bias"))
    for i in range(config.depth):
        rules.append(Rule(f"output{i}.weight", f"blocks/{i}/torgb/kernel", conv))
        rules.append(Rule(f"output{i}.bias", f"blocks/{i}/torgb/bias"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    classes, notices = taken(options, "label_size", 0, _LABELS)
    output, more = taken(options, "output_activation", "linear")
    config = _config(arrays, classes, output)
    fused, which = _is_fused(arrays, config, options.get("fused_scale"))
    notices = [*notices, *more, *which, *growing(config.lod), *averaging(tree, *_CONTAINERS)]
    return Recipe(config, _rules(config, fused), arrays, ("lod",), tuple(notices))


FORMAT = Format(
    name="genforce-pggan",
    title="genforce/genforce and genforce/sefa, PGGAN",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "fused_scale": Option(switch, "whether up-sampling convolutions are fused: true or false"),
        "label_size": Option(integer, "number of classes, 0 if not given"),
        "output_activation": OUTPUT_ACTIVATION,
    },
)

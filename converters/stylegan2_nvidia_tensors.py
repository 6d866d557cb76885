"""State dicts of NVIDIA's StyleGAN2: the tensors of a generator without its pickled modules."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import Arrays, averaging, find_arrays, fits, required
from converters.formats import Format, Recipe
from converters.nvidia import CONTAINERS, mapping_sizes
from converters.options import MULTIPLIER, Option, mapping_lr_multiplier, positive
from converters.stylegan2_nvidia import config_of, filters, rules_of

CLAMP = 256.0  # of all that was trained with 16-bit layers, as NVIDIA's own were

_MARKS = ("mapping.fc0.weight", "synthesis.b4.const", "synthesis.b4.conv1.affine.weight")


def clamp(text: str) -> float | None:
    """Parses a bound of activations: a number above 0, or "none".

    Example:
        >>> clamp("256"), clamp("none")
        (256.0, None)
    """
    return None if text.strip().lower() == "none" else positive(text)


OPTIONS = {
    "mapping_lr_multiplier": MULTIPLIER,
    "conv_clamp": Option(clamp, f"bound of the activations or none, {CLAMP:g} if not given"),
}


def guessed(arrays: Arrays, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns what tensors do not say, as keywords of a config, and notices of the guesses."""
    multiplier, notices = mapping_lr_multiplier(options, required(arrays, "mapping.fc0.weight"))
    known = {"mapping_activation": "lrelu", "conv_clamp": CLAMP, **options}
    known["mapping_lr_multiplier"] = multiplier
    if "conv_clamp" not in options:
        notices.append(
            f"conv_clamp is not in the file; {CLAMP:g} is taken, as in NVIDIA's own networks; "
            "conv_clamp=none is for a network trained in 32 bits throughout"
        )
    return known, notices


def _architecture(arrays: Arrays) -> str:
    if "synthesis.b8.skip.weight" in arrays:
        return "resnet"
    return "skip" if "synthesis.b4.torgb.weight" in arrays else "orig"


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, CONTAINERS, _MARKS)


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    known, notices = guessed(arrays, options)
    config = config_of(arrays, architecture=_architecture(arrays), **mapping_sizes(arrays), **known)
    notices += averaging(tree, "G_ema", "G")
    return Recipe(config, rules_of(config), arrays, filters(arrays), tuple(notices))


FORMAT = Format(
    name="nvidia-stylegan2-tensors",
    title="state dicts of StyleGAN2 in NVlabs/stylegan2-ada-pytorch and stylegan3",
    license="NVIDIA Source Code License (non-commercial) for NVIDIA's own weights",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options=OPTIONS,
)

"""State dicts of StyleGAN3: the tensors of a generator without its pickled modules."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from converters.arrays import Arrays, averaging, extent, find_arrays, fits
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.nvidia import CONTAINERS, mapping_sizes
from converters.stylegan2_nvidia_tensors import OPTIONS, guessed
from converters.stylegan3_nvidia import config_of, filter_of, filters, layer_names, rules_of
from jaxlatent.errors import UserError
from jaxlatent.generators import Resampling

_MARKS = ("mapping.fc0.weight", "synthesis.input.freqs", "synthesis.input.transform")
_TAPS = 6  # of a filter for each step of its factor
_MARGIN = 10  # pixels around the image on each side
_BANDWIDTH = 2.0  # of the Fourier features
_SCALE = 0.25  # of the output
_NOTICE = (
    "the file has neither factors nor paddings; they are derived from sizes and filters, with the "
    f"settings of NVIDIA's training script (filter_size {_TAPS}, margin_size {_MARGIN}, "
    f"first_cutoff {_BANDWIDTH:g}, output_scale {_SCALE:g}); a pickle has them all"
)


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, CONTAINERS, _MARKS)


def _names(arrays: Arrays) -> list[str]:
    return layer_names(list(dict.fromkeys(name.split(".")[1] for name in arrays if "." in name)))


def _resampling(arrays: Arrays, name: str, before: int, after: int) -> Resampling:
    """Returns how a layer resamples: a filter has a fixed number of taps for each step."""
    taps = [arrays.get(f"synthesis.{name}.{which}_filter") for which in ("up", "down")]
    factors = []
    for array in taps:
        count = 1 if array is None or not array.ndim else len(array)
        if count != 1 and count % _TAPS:
            raise ConversionError(
                f"a filter of {name} has {count} taps, no multiple of {_TAPS}: the network was "
                "trained with other settings; convert the whole pickle"
            )
        factors.append(max(1, count // _TAPS))
    padded = before + extent(arrays, f"synthesis.{name}.weight", 2) - 1
    try:
        up, down = factors
        return Resampling.between(padded, after, up, down, *map(filter_of, taps))
    except UserError as error:
        raise ConversionError(f"{name}: {error}") from None


def _check_rates(sides: Sequence[int], resamplings: Sequence[Resampling], rate: float) -> None:
    """Refuses sides that do not fit the rates: with a margin, or, at last, without."""
    for side, resampling in zip(sides[1:], resamplings, strict=True):
        rate = rate * resampling.up / resampling.down
        if side not in (rate, rate + 2 * _MARGIN):
            raise ConversionError(
                f"a layer of side {side} does not fit a rate of {rate:g} and a margin of "
                f"{_MARGIN}: the network was trained with other settings; convert the whole pickle"
            )


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    names = _names(arrays)
    known, notices = guessed(arrays, options)
    sides = [int(re.split("_", name)[1]) for name in names]
    sides.insert(0, sides[0])  # the first layer keeps the rate of the Fourier features
    resamplings = [
        _resampling(arrays, name, before, after)
        for name, (before, after) in zip(names, pairwise(sides), strict=True)
    ]
    rate = float(sides[0] - 2 * _MARGIN)
    _check_rates(sides, resamplings, rate)
    config = config_of(
        arrays,
        names,
        resamplings,
        sides,
        input_rate=rate,
        input_bandwidth=_BANDWIDTH,
        output_scale=_SCALE,
        **mapping_sizes(arrays),
        **known,
    )
    return Recipe(
        config,
        rules_of(config, names),
        arrays,
        filters(arrays),
        (*notices, *averaging(tree, "G_ema", "G"), _NOTICE),
    )


FORMAT = Format(
    name="nvidia-stylegan3-tensors",
    title="state dicts of StyleGAN3 in NVlabs/stylegan3",
    license="NVIDIA Source Code License (non-commercial) for NVIDIA's own weights",
    matches=lambda tree: fits(lambda: _names(_find(tree))),
    recipe=_recipe,
    options=OPTIONS,
)

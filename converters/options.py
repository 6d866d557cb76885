"""What a file leaves open and its user may say: options, and how their texts are read."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.errors import ConversionError
from converters.rules import is_numeric


@dataclass(frozen=True)
class Option:
    """Something that a file leaves open, and that its user must or may say.

    Attributes:
        parse: reads the user's text; its `ValueError` says what was expected.
        help: what the option is, in a few words.
    """

    parse: Callable[[str], Any]
    help: str


def integer(text: str) -> int:
    """Parses a whole number of at most 6 digits.

    Example:
        >>> integer("28")
        28
    """
    if not re.fullmatch(r"[0-9]{1,6}", text.strip()):
        raise ValueError("expected a whole number of at most 6 digits")
    return int(text)


def integers(text: str) -> tuple[int, ...]:
    """Parses "1,2,2" into a tuple.

    Example:
        >>> integers("1,2,2")
        (1, 2, 2)
    """
    return tuple(integer(part) for part in text.split(","))


def positive(text: str) -> float:
    """Parses a finite number above zero.

    Example:
        >>> positive("1e-5")
        1e-05
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError("expected a finite number above 0")
    return number


MULTIPLIER = Option(positive, "of the training, inferred if not given")
"""What says the mapping network's learning-rate multiplier."""

_MULTIPLIERS = (0.01, 0.02, 0.05, 0.1, 1.0)  # those of published StyleGANs
_FAR = 3  # times as large or small as that of a fresh network: not by training alone


def taken(
    options: Mapping[str, Any], name: str, usual: Any, why: str = "as by default"
) -> tuple[Any, list[str]]:
    """Returns what the user says, or what is usual and a notice that it was guessed.

    Example:
        >>> taken({}, "depth", 2)
        (2, ['depth is not in the file; 2 taken, as by default'])
        >>> taken({"depth": 3}, "depth", 2)
        (3, [])
    """
    if name in options:
        return options[name], []
    return usual, [f"{name} is not in the file; {usual} taken, {why}"]


def mapping_lr_multiplier(
    options: Mapping[str, Any], weight: np.ndarray
) -> tuple[float, list[str]]:
    """Returns a mapping network's learning-rate multiplier, inferred if the user does not say.

    A layer's stored weights start from a standard deviation of 1 / multiplier and stay near.

    Returns:
        The multiplier and, if it was inferred, a notice.

    Raises:
        ConversionError: if the weights fit no multiplier that is in use.

    Example:
        >>> mapping_lr_multiplier({}, np.array([[-100.0, 100.0]]))[0]
        0.01
    """
    if "mapping_lr_multiplier" in options:
        return options["mapping_lr_multiplier"], []
    with np.errstate(all="ignore"):
        sound = weight.size > 0 and is_numeric(weight.dtype)
        deviation = float(np.std(weight.astype(np.float64))) if sound else 0.0
    if not 0 < deviation < np.inf:
        return 1.0, [
            "mapping_lr_multiplier is not in the file; 1 taken, as its weights tell nothing"
        ]
    distances = [abs(np.log(deviation * value)) for value in _MULTIPLIERS]
    if min(distances) > np.log(_FAR):
        raise ConversionError(
            f"mapping_lr_multiplier is not in the file, and the weights' standard deviation of "
            f"{deviation:.3g} fits none of {', '.join(map(str, _MULTIPLIERS))}: give the option "
            "mapping_lr_multiplier=..."
        )
    value = _MULTIPLIERS[int(np.argmin(distances))]
    return value, [
        f"mapping_lr_multiplier is not in the file; {value:g} fits the weights' standard deviation "
        f"of {deviation:.3g}"
    ]

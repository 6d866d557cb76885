"""Declarative tables from a checkpoint's names to our parameters, applied strictly.

A format is a list of `Rule`s generated from the network's configuration. `apply_rules` accepts a
file only if every rule finds its source, every source is used or named as unneeded, every target
is filled once, and every shape is right; otherwise one error lists all that is wrong.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import ml_dtypes
import numpy as np

from converters.errors import ConversionError
from jaxlatent.errors import listed

Transform = Callable[[np.ndarray], np.ndarray]


def same(array: np.ndarray) -> np.ndarray:
    """Leaves the array as it is."""
    return array


def transpose(array: np.ndarray) -> np.ndarray:
    """Turns a dense weight [out, in] into [in, out]."""
    return array.T


def conv(array: np.ndarray) -> np.ndarray:
    """Turns a convolution kernel OIHW into HWIO."""
    return array.transpose(2, 3, 1, 0)


def flipped_conv(array: np.ndarray) -> np.ndarray:
    """Turns OIHW into HWIO and flips it: a transposed convolution stored output first."""
    return array.transpose(2, 3, 1, 0)[::-1, ::-1]


def transposed_conv(array: np.ndarray) -> np.ndarray:
    """Turns a transposed convolution's IOHW into the HWIO kernel of the equal correlation."""
    return array.transpose(2, 3, 0, 1)[::-1, ::-1]


def first(array: np.ndarray) -> np.ndarray:
    """Drops a leading axis of one."""
    return array.reshape(array.shape[1:]) if array.shape[:1] == (1,) else array


def flat(array: np.ndarray) -> np.ndarray:
    """Drops all axes of one around a vector: [1, c, 1, 1] -> [c]."""
    return array.reshape(-1) if array.size == max(array.shape, default=1) else array


def scalar(array: np.ndarray) -> np.ndarray:
    """Turns a single number of any shape into one without axes."""
    return array.reshape(()) if array.size == 1 else array


def plus_one(array: np.ndarray) -> np.ndarray:
    """Adds to a style's bias what some originals add only while they run."""
    return array.astype(np.float64) + 1 if is_numeric(array.dtype) else array


def channels_last(array: np.ndarray) -> np.ndarray:
    """Turns CHW into HWC."""
    return array.transpose(1, 2, 0)


class Rule(NamedTuple):
    """One parameter: the name in the file, the path in our module, and what turns one to other.

    Attributes:
        source: the name in the file.
        target: the path in our module.
        transform: turns the file's array into ours.
        nonnegative: whether no number may be below zero, as in a variance.

    Example:
        >>> Rule("fc.weight", "mapping/layers/0/weight", transpose).source
        'fc.weight'
    """

    source: str
    target: str
    transform: Transform = same
    nonnegative: bool = False


def chain(*transforms: Transform) -> Transform:
    """Returns the transform that applies `transforms` from left to right."""

    def chained(array: np.ndarray) -> np.ndarray:
        for transform in transforms:
            array = transform(array)
        return array

    return chained


def is_numeric(dtype: np.dtype) -> bool:
    """Tells whether weights can be of this type: real numbers, neither complex nor text.

    Example:
        >>> is_numeric(np.dtype(ml_dtypes.bfloat16)), is_numeric(np.dtype("U3"))
        (True, False)
    """
    return dtype.kind in "biuf" or dtype.type is ml_dtypes.bfloat16


def apply_rules(
    rules: Sequence[Rule],
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
    unneeded: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Returns our parameters, or refuses the file and says everything that does not fit.

    Args:
        rules: one for each parameter.
        arrays: the file's arrays by name.
        shapes: our parameters' shapes by path.
        unneeded: names in the file that the network does not use.

    Returns:
        Arrays in float32 by path, contiguous and writable.

    Raises:
        ConversionError: naming all missing, unexpected, doubled, wrong-shaped, non-numeric,
            non-finite and wrongly negative arrays at once.

    Example:
        >>> apply_rules([Rule("b", "bias")], {"b": np.ones(2), "c": np.ones(1)}, {"bias": (3,)})
        Traceback (most recent call last):
        converters.errors.ConversionError: the file does not fit the network:
        unexpected: c; wrong shape: b gives [2], bias needs [3]
    """
    used, targets = Counter(r.source for r in rules), Counter(r.target for r in rules)
    problems: dict[str, list[str]] = {
        "missing": [r.source for r in rules if r.source not in arrays],
        "unexpected": [k for k in arrays if k not in used and k not in unneeded],
        "used twice": [k for k, count in used.items() if count > 1],
        "filled twice": [k for k, count in targets.items() if count > 1],
        "not filled": [k for k in shapes if k not in targets],
        "no such parameter": [k for k in targets if k not in shapes],
        "wrong shape": [],
        "not numbers": [],
        "not finite (NaN or infinity)": [],
        "negative": [],
    }
    found = {}
    for rule in rules:
        if rule.source not in arrays or rule.target not in shapes:
            continue
        source, shape = arrays[rule.source], shapes[rule.target]
        try:
            array = rule.transform(source)
        except (ValueError, IndexError):
            array = source
        if array.shape != shape:
            problems["wrong shape"].append(
                f"{rule.source} gives {list(array.shape)}, {rule.target} needs {list(shape)}"
            )
            continue
        if not is_numeric(array.dtype):
            problems["not numbers"].append(f"{rule.source} ({array.dtype})")
            continue
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which is reported
            found[rule.target] = np.array(array, np.float32, order="C")
        if not np.isfinite(found[rule.target]).all():
            problems["not finite (NaN or infinity)"].append(rule.source)
        if rule.nonnegative and (found[rule.target] < 0).any():
            problems["negative"].append(rule.source)
    report = "; ".join(f"{what}: {listed(names)}" for what, names in problems.items() if names)
    if report:
        raise ConversionError(f"the file does not fit the network: {report}")
    return found

"""What the command line's texts mean: lists of numbers, strengths, arrays, labels, options."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlatent.errors import UserError
from jaxlatent.files import read_npy

if TYPE_CHECKING:
    from jaxlatent.find.jacobian import Region
    from jaxlatent.generators import Generator

_MOST = 100_000
_NUMBER = re.compile(r"[0-9]{1,15}")
_NUMBERS = re.compile(r"[0-9]{1,15}([-,][0-9]{1,15})*")
_BOX = re.compile(r"([0-9]{1,6}):([0-9]{1,6}),([0-9]{1,6}):([0-9]{1,6})")
_MIXTURE = re.compile(
    r"[0-9]{1,15}:-?[0-9]{0,9}\.?[0-9]{1,9}(,[0-9]{1,15}:-?[0-9]{0,9}\.?[0-9]{1,9})*"
)


def indices(text: str, what: str, limit: int | None = None) -> list[int]:
    """Parses "0-3,7" into [0, 1, 2, 3, 7].

    Args:
        text: numbers and inclusive ranges, separated by commas.
        what: what is numbered, for the error.
        limit: numbers must be smaller.

    Raises:
        UserError: if it does not parse, or a number is out of range.

    Example:
        >>> indices("0-3,7", "seeds")
        [0, 1, 2, 3, 7]
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last) if dash else (first,)
        if not all(_NUMBER.fullmatch(number) for number in numbers):
            raise UserError(f"{what}: {text!r} is no list like 0-3,7")
        start, stop = int(numbers[0]), int(numbers[-1])
        if stop < start:
            raise UserError(f"{what}: {part!r} runs backwards; write {stop}-{start}")
        if stop - start + len(found) >= _MOST:
            raise UserError(f"{what}: {text!r} has more than {_MOST} numbers")
        found.extend(range(start, stop + 1))
    top = (1 << 32) if limit is None else limit
    if max(found) >= top:
        raise UserError(f"{what} must be in 0 to {top - 1}, got {text}")
    return found


def strengths(text: str) -> list[float]:
    """Parses "-3:3:7" (7 steps from -3 to 3) or "-2,0,2".

    Raises:
        UserError: if it does not parse.

    Example:
        >>> strengths("-3:3:7")
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    """
    try:
        if ":" in text:
            first, last, count = text.split(":")
            if not 1 <= int(count) <= 1000:
                raise ValueError
            ends = finite(float(first), text), finite(float(last), text)
            return [float(v) for v in np.linspace(*ends, int(count))]
        return [finite(float(part), text) for part in text.split(",")]
    except ValueError:
        raise UserError(
            f"strengths: {text!r} is neither FIRST:LAST:COUNT (1 to 1000 steps) nor a list "
            "of finite numbers"
        ) from None


def finite(value: float, what: str) -> float:
    """Returns `value`, or raises `UserError` if float32 cannot hold it."""
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise UserError(f"{what} must be a finite number, got {value}")
    return value


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Parses "key=value" texts.

    Raises:
        UserError: if one has no key or no equals sign, or a key comes twice.

    Example:
        >>> pairs(["image_size=28", "activation=lrelu"])
        {'image_size': '28', 'activation': 'lrelu'}
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"{text!r} is not KEY=VALUE")
        if key in found:
            raise UserError(f"{key} is given twice")
        found[key] = value
    return found


def labels(text: str | None, n: int, generator: "Generator", needed: bool = True) -> Any:
    """Returns one label for each of `n` samples, from a class number or a file.

    Args:
        text: a class, a class for each sample ("0-3"), a mixture of classes ("3:0.6,7:0.4"), a
            `.npy` file of integers [n] or weights [n, classes], or `None`.
        n: number of samples.
        generator: which says how many classes there are.
        needed: whether a conditional generator cannot do without.

    Raises:
        UserError: if a label is missing, superfluous, out of range or of the wrong shape.
    """
    classes = generator.num_classes
    if text is None and not (classes and needed):
        return None
    if text is None:
        raise UserError(f"the generator is conditional: give --label 0 to {classes - 1} or a file")
    if not classes:
        raise UserError("the generator is not conditional; give no --label")
    import jax.numpy as jnp

    if _NUMBER.fullmatch(text):
        found = np.asarray(indices(text, "--label", classes) * n)
    elif _NUMBERS.fullmatch(text):
        found = np.asarray(indices(text, "--label", classes))
    elif _MIXTURE.fullmatch(text):
        found = np.tile(_mixture(text, classes), (n, 1))
    elif text.endswith(".npy"):
        found = read_npy(text)
    else:
        raise UserError(
            f"--label {text!r} is neither a class, 0 to {classes - 1}, nor a list of {n}, nor a "
            "mixture like 3:0.6,7:0.4, nor a .npy file"
        )
    if found.shape not in ((n,), (n, classes)):
        raise UserError(
            f"--label: {n} integers or weights [{n}, {classes}] are needed, got {list(found.shape)}"
        )
    if found.ndim == 1 and found.dtype.kind == "f":
        raise UserError(f"--label {text}: classes must be integers, got {found.dtype}")
    if found.ndim == 1 and not 0 <= found.min() <= found.max() < classes:
        raise UserError(f"--label must be in 0 to {classes - 1}, got {text}")
    return jnp.asarray(found, jnp.int32 if found.ndim == 1 else jnp.float32)


def _mixture(text: str, classes: int) -> np.ndarray:
    """Parses "3:0.6,7:0.4" into weights over the classes."""
    weights = np.zeros(classes, np.float32)
    for part in text.split(","):
        number, _, weight = part.partition(":")
        (index,) = indices(number, "--label", classes)
        weights[index] += finite(float(weight), "--label")
    return weights


def layers(text: str | None, generator: "Generator") -> list[int] | None:
    """Parses layer numbers and checks them against the generator; `None` stays `None`."""
    return None if text is None else indices(text, "layers", generator.num_layers)


def region(text: str) -> "Region":
    """Parses "30:40,18:46" (rows 30 to 39, columns 18 to 45), or reads an image that is a mask.

    Raises:
        UserError: if it is neither, or the box is empty.

    Example:
        >>> region("30:40,18:46")
        ((30, 40), (18, 46))
    """
    box = _BOX.fullmatch(text)
    if box:
        top, bottom, left, right = map(int, box.groups())
        if top >= bottom or left >= right:
            raise UserError(f"region: {text} has no pixels in it")
        return (top, bottom), (left, right)
    if not Path(text).is_file():
        raise UserError(f"region: {text!r} is neither TOP:BOTTOM,LEFT:RIGHT nor an image file")
    from PIL import Image

    try:
        with Image.open(text) as image:
            return np.asarray(image.convert("L")) > 127
    except Exception as error:  # what damaged images may raise has no end
        raise UserError(f"region: {text} is no image: {error}") from None

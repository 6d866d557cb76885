"""What a checkpoint format is: how to know it, how to read it, what it needs to be told."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.errors import ConversionError
from converters.rules import Rule
from jaxlatent.generators import Generator

Arrays = Mapping[str, np.ndarray]

MAX_BLOCKS = 11  # of a synthesis network: 4 to 4096 pixels; published ones end at 1024
MAX_LAYERS = 64  # of a stack or a mapping network; published ones have 8

_MAX_ARRAYS = 100_000
_MAX_MODULES = 10_000
_MAX_PREFIX = 1000


@dataclass(frozen=True)
class Recipe:
    """How to make a generator of a file's arrays.

    Attributes:
        config: the generator's config.
        rules: one for each parameter.
        arrays: the file's arrays by name.
        unneeded: names of arrays that the generator has no use for.
        notices: what the user should know: guesses made, things missing.
        finish: completes the built generator, where the file alone cannot.
    """

    config: Any
    rules: Sequence[Rule]
    arrays: Arrays
    unneeded: Collection[str] = ()
    notices: tuple[str, ...] = ()
    finish: Callable[[Generator], None] | None = None


@dataclass(frozen=True)
class Option:
    """Something that a file leaves open, and that its user must or may say.

    Attributes:
        parse: reads the user's text; its `ValueError` says what was expected.
        help: what the option is, in a few words.
    """

    parse: Callable[[str], Any]
    help: str


@dataclass(frozen=True)
class Format:
    """One kind of checkpoint.

    Attributes:
        name: what `--format` takes.
        title: the project that writes it.
        license: what is known about the licence of weights in this format.
        matches: whether a file's tree looks like it; raises nothing, whatever the tree.
        recipe: reads the tree, given the options.
        options: what a file may leave open, by name.
    """

    name: str
    title: str
    license: str
    matches: Callable[[Any], bool]
    recipe: Callable[[Any, Mapping[str, Any]], Recipe]
    options: Mapping[str, Option]

    def describe_options(self) -> str:
        """Returns the options with their meaning, in one line."""
        return "; ".join(f"{k}: {o.help}" for k, o in self.options.items()) or "none"

    def parse_options(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Returns the options as values.

        Raises:
            ConversionError: naming every unknown option and every value that does not parse.
        """
        problems = [f"unknown option {k!r}" for k in options if k not in self.options]
        if problems:
            problems.append(f"options of {self.name}: {self.describe_options()}")
        values = {}
        for name, option in self.options.items():
            if name not in options:
                continue
            try:
                values[name] = option.parse(options[name])
            except ValueError as error:
                problems.append(f"option {name}={options[name][:80]}: {error}")
        if problems:
            raise ConversionError("; ".join(problems))
        return values


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


def bounded(count: int, most: int, what: str) -> int:
    """Returns `count`, or refuses a file that asks for more than any known network has."""
    if count > most:
        raise ConversionError(f"{count} {what}; at most {most} are read")
    return count


def required(arrays: Arrays, name: str) -> np.ndarray:
    """Returns an array that no file of the format lacks."""
    if name not in arrays:
        raise ConversionError(f"the file does not fit the network: missing: {name}")
    return arrays[name]


def extent(arrays: Arrays, name: str, axis: int) -> int:
    """Returns the length of an axis of a required array."""
    shape = required(arrays, name).shape
    if axis >= len(shape):
        raise ConversionError(f"the file does not fit the network: {name} is {list(shape)}")
    return shape[axis]


def is_state_dict(value: Any) -> bool:
    """Tells whether `value` maps names to arrays, and has at least one."""
    return (
        isinstance(value, dict)
        and 0 < len(value) < _MAX_ARRAYS
        and all(isinstance(k, str) for k in value)
        and all(isinstance(v, np.ndarray) for v in value.values())
    )


def state_dicts(tree: Any, names: Sequence[str]) -> list[Arrays]:
    """Returns the state dicts in a file, those under `names` first, "module." stripped.

    Args:
        tree: what the file held: a state dict, or a dict that holds some.
        names: where to look first, in order.
    """
    if is_state_dict(tree):
        found = [tree]
    elif isinstance(tree, dict):
        found = [tree[name] for name in names if is_state_dict(tree.get(name))]
        found += [v for k, v in tree.items() if k not in names and is_state_dict(v)]
    else:
        found = []
    return [_unwrapped(arrays) for arrays in found]


def _unwrapped(arrays: Arrays) -> Arrays:
    """Strips the prefix that torch's DataParallel gives to all names."""
    if not all(name.startswith("module.") for name in arrays):
        return arrays
    return {name.removeprefix("module."): array for name, array in arrays.items()}


def module_arrays(module: Any) -> Arrays:
    """Returns the parameters and buffers of a pickled torch module by dotted name.

    Raises:
        ConversionError: if the modules are malformed or nest without end.
    """
    found: dict[str, np.ndarray] = {}
    pending = [("", module)]
    for _ in range(_MAX_MODULES):
        if not pending:
            return found
        prefix, node = pending.pop()
        for group in ("_parameters", "_buffers"):
            for name, value in _named(node, group, prefix):
                if isinstance(value, np.ndarray):
                    found[f"{prefix}{name}"] = value
        for name, child in _named(node, "_modules", prefix):
            if isinstance(child, dict):
                pending.append((f"{prefix}{name}.", child))
        if len(prefix) > _MAX_PREFIX or max(len(found), len(pending)) > _MAX_ARRAYS:
            break
    raise ConversionError("the pickled modules are nested too deeply or are too many")


def _named(node: dict[Any, Any], group: str, prefix: str) -> Collection[tuple[str, Any]]:
    items = node.get(group, {})
    if not isinstance(items, dict) or not all(isinstance(name, str) for name in items):
        raise ConversionError(f"{prefix}{group} of the pickled module does not map names to values")
    return items.items()

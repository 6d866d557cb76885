"""What a checkpoint format is: how to know it, how to read it, what it needs to be told."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.errors import ConversionError
from converters.rules import Rule
from jaxlatent.generators import Generator

Arrays = Mapping[str, np.ndarray]

_MAX_ARRAYS = 100_000


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
class Format:
    """One kind of checkpoint.

    Attributes:
        name: what `--format` takes.
        title: the project that writes it.
        license: what is known about the licence of weights in this format.
        matches: whether a file's tree looks like it.
        recipe: reads the tree, given the options.
        options: parsers of what a file may leave open, by name.
    """

    name: str
    title: str
    license: str
    matches: Callable[[Any], bool]
    recipe: Callable[[Any, Mapping[str, Any]], Recipe]
    options: Mapping[str, Callable[[str], Any]]

    def parse_options(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Returns the options as values.

        Raises:
            ConversionError: naming every unknown option and every value that does not parse.
        """
        known = ", ".join(self.options) or "none"
        problems = [
            f"unknown option {k!r} (known for {self.name}: {known})"
            for k in options
            if k not in self.options
        ]
        values = {}
        for name in options.keys() & self.options.keys():
            try:
                values[name] = self.options[name](options[name])
            except ValueError as error:
                problems.append(f"option {name}={options[name]}: {error}")
        if problems:
            raise ConversionError("; ".join(problems))
        return values


def integers(text: str) -> tuple[int, ...]:
    """Parses "1,2,2" into a tuple.

    Example:
        >>> integers("1,2,2")
        (1, 2, 2)
    """
    return tuple(int(part) for part in text.split(","))


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
    return [{k.removeprefix("module."): v for k, v in arrays.items()} for arrays in found]


def module_arrays(node: Any, prefix: str = "", found: dict[str, Any] | None = None) -> Arrays:
    """Returns the parameters and buffers of a pickled torch module by dotted name.

    Raises:
        ConversionError: if the modules nest without end.
    """
    found = {} if found is None else found
    if len(found) > _MAX_ARRAYS or prefix.count(".") > 64:
        raise ConversionError("the pickled modules are nested too deeply or are too many")
    for group in ("_parameters", "_buffers"):
        for name, value in node.get(group, {}).items():
            if isinstance(value, np.ndarray):
                found[f"{prefix}{name}"] = value
    for name, child in node.get("_modules", {}).items():
        if isinstance(child, dict):
            module_arrays(child, f"{prefix}{name}.", found)
    return found

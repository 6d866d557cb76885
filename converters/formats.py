"""What a checkpoint format is: how to know it, how to read it, what it needs to be told."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converters.arrays import Arrays
from converters.errors import ConversionError
from converters.options import Option
from converters.rules import Rule


@dataclass(frozen=True)
class Recipe:
    """How to make a network of a file's arrays.

    Attributes:
        config: the network's config.
        rules: one for each parameter.
        arrays: the file's arrays by name.
        unneeded: names of arrays that the network has no use for.
        notices: what the user should know: guesses made, things missing.
        finish: completes the built network, where the file alone cannot.
    """

    config: Any
    rules: Sequence[Rule]
    arrays: Arrays
    unneeded: Collection[str] = ()
    notices: tuple[str, ...] = ()
    finish: Callable[[Any], None] | None = None


@dataclass(frozen=True)
class Format:
    """One kind of checkpoint.

    Attributes:
        name: what `--format` takes.
        title: the project that writes it.
        license: what is known about the licence of weights in this format.
        matches: whether a file's tree looks like it; raises nothing, whatever the tree.
        recipe: reads the tree, given the options (and, if there is one, the sidecar).
        options: what a file may leave open, by name.
        sidecar: a JSON file beside the checkpoint, which the recipe finds under this name.
    """

    name: str
    title: str
    license: str
    matches: Callable[[Any], bool]
    recipe: Callable[[Any, Mapping[str, Any]], Recipe]
    options: Mapping[str, Option]
    sidecar: str | None = None

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
            if not isinstance(options[name], str):
                problems.append(f"option {name}={options[name]!r}: options are text, as in '28'")
                continue
            try:
                values[name] = option.parse(options[name])
            except ValueError as error:
                problems.append(f"option {name}={options[name][:80]}: {error}")
        if problems:
            raise ConversionError("; ".join(problems))
        return values

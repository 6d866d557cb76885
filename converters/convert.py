"""One call from a checkpoint file to a generator: read, detect, apply the rules, build."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from converters.detect import detect, named
from converters.errors import MALFORMED, CheckpointError, ConversionError, described
from converters.formats import Format
from converters.reader import Checkpoint, read_checkpoint
from converters.rules import apply_rules
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, Origin, build, parameter_shapes


@dataclass(frozen=True)
class Converted:
    """A generator made of a checkpoint.

    Attributes:
        generator: the generator.
        format: the name of the checkpoint's format.
        notices: what its user should know about the conversion.
    """

    generator: Generator
    format: str
    notices: tuple[str, ...]


def convert(
    path: str | os.PathLike[str],
    format: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Converted:
    """Converts a checkpoint file; torch is not needed and nothing in the file is executed.

    Args:
        path: the file.
        format: the format's name, if it should not be detected.
        options: what the file leaves open, by name, as text.

    Raises:
        FileNotFoundError: if there is no such file.
        CorruptCheckpointError: if it is damaged or no checkpoint.
        UnsafeCheckpointError: if it mentions a name that no checkpoint may use.
        ConversionError: if it is of no known format, needs an option, or does not fit.

    Example:
        >>> convert("no-such-file.pt")
        Traceback (most recent call last):
        FileNotFoundError: no such file: no-such-file.pt
    """
    chosen = None if format is None else named(format)
    checkpoint = read_checkpoint(path)
    try:
        chosen = chosen or detect(checkpoint.tree)
        return _converted(checkpoint, chosen, options or {})
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from None
    except UserError as error:
        raise ConversionError(f"{path}: {error}") from None
    except MALFORMED as error:
        name = "" if chosen is None else f" {chosen.name}"
        raise ConversionError(
            f"{path}: not a sound{name} checkpoint: {described(error)}"
        ) from error


def _converted(checkpoint: Checkpoint, format: Format, options: Mapping[str, str]) -> Converted:
    recipe = format.recipe(checkpoint.tree, format.parse_options(options))
    arrays = apply_rules(
        recipe.rules, recipe.arrays, parameter_shapes(recipe.config), recipe.unneeded
    )
    origin = Origin(format.name, checkpoint.path.name, checkpoint.sha256, format.license)
    generator = build(recipe.config, arrays, origin)
    if recipe.finish is not None:
        recipe.finish(generator)
    return Converted(generator, format.name, recipe.notices)

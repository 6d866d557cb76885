"""One call from a checkpoint file to a network: read, detect, apply the rules, build."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.detect import detect, named
from converters.errors import MALFORMED, CheckpointError, ConversionError, described
from converters.formats import Format
from converters.reader import Checkpoint, read_checkpoint
from converters.rules import apply_rules
from jaxlatent.bundle import CONFIG_FILE, WEIGHTS, load_bundle
from jaxlatent.errors import UserError
from jaxlatent.exports import MODEL_FORMAT, is_safetensors_model, load_safetensors
from jaxlatent.model import Model, Origin
from jaxlatent.parameters import DTYPES, build, cast, parameter_shapes

_MAX_SIDECAR = 1 << 20  # bytes


@dataclass(frozen=True)
class Converted:
    """A network made of a checkpoint.

    Attributes:
        model: the network, most often a `Generator`.
        format: the name of the checkpoint's format.
        notices: what its user should know about the conversion.
    """

    model: Model
    format: str
    notices: tuple[str, ...]


def convert(
    path: str | os.PathLike[str],
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    dtype: str | None = None,
) -> Converted:
    """Converts a checkpoint file; torch is not needed and nothing in the file is executed.

    Args:
        path: the file, or a Hugging Face folder that holds it; an export of our own to safetensors
            or a model folder too.
        format: the format's name, if it should not be detected.
        options: what the file leaves open, by name, as text.
        dtype: of the trained parameters, "float32", "bfloat16" or "float16"; `None` is float32,
            in an export of our own what it has.

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
    if dtype is not None and dtype not in DTYPES:
        raise ConversionError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if _is_bundle(Path(path)):
        model = load_bundle(path)
        return Converted(cast(model, dtype) if dtype else model, "jaxlatent-bundle", ())
    file = _file(Path(path))
    if chosen is None and not options and is_safetensors_model(file):
        model = load_safetensors(file)
        return Converted(cast(model, dtype) if dtype else model, MODEL_FORMAT, ())
    checkpoint = read_checkpoint(file)
    try:
        chosen = chosen or detect(checkpoint.tree)
        return convert_tree(checkpoint, chosen, options or {}, dtype or "float32")
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from None
    except UserError as error:
        raise ConversionError(f"{path}: {error}") from None
    except MALFORMED as error:
        name = "" if chosen is None else f" {chosen.name}"
        raise ConversionError(
            f"{path}: not a sound{name} checkpoint: {described(error)}"
        ) from error


def _is_bundle(path: Path) -> bool:
    """Tells a bundle from a Hugging Face folder, which has a config.json too."""
    return (path / CONFIG_FILE).is_file() and not any((path / n).is_file() for n in WEIGHTS)


def _file(path: Path) -> Path:
    """Returns the file itself, or the one with the weights in a folder."""
    if not path.is_dir():
        return path
    found = [path / name for name in WEIGHTS if (path / name).is_file()]
    if not found:
        raise ConversionError(f"{path} is a folder without {' or '.join(WEIGHTS)}")
    return found[0]


def _sidecar(path: Path) -> Any:
    """Returns what a JSON file says."""
    if path.stat().st_size > _MAX_SIDECAR:
        raise ConversionError(f"{path.name} has more than {_MAX_SIDECAR} bytes")
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"{path.name} is no JSON: {error}") from None


def convert_tree(
    checkpoint: Checkpoint, format: Format, options: Mapping[str, str], dtype: str = "float32"
) -> Converted:
    """Converts what a file held; arguments and errors as of `convert`, without the file's name."""
    values = format.parse_options(options)
    if format.sidecar and (beside := checkpoint.path.parent / format.sidecar).is_file():
        values[format.sidecar] = _sidecar(beside)
    recipe = format.recipe(checkpoint.tree, values)
    arrays = apply_rules(
        recipe.rules, recipe.arrays, parameter_shapes(recipe.config), recipe.unneeded
    )
    origin = Origin(format.name, checkpoint.path.name, checkpoint.sha256, format.license)
    model = build(recipe.config, arrays, origin)
    if recipe.finish is not None:
        recipe.finish(model)
    return Converted(cast(model, dtype), format.name, recipe.notices)

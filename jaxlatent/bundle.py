"""Generators on disk: a folder with a readable `config.json` and the parameters."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxlatent.errors import UserError, listed
from jaxlatent.files import atomic_folder
from jaxlatent.generators import (
    FAMILIES,
    Generator,
    Origin,
    build,
    fingerprint,
    parameter_shapes,
    parameters,
)

CONFIG_FILE = "config.json"
_PARAMETERS = "parameters"
_VERSION = 1


def save(generator: Generator, path: str | os.PathLike[str]) -> None:
    """Writes a generator as a model bundle, replacing an earlier bundle of that name.

    Args:
        generator: any generator.
        path: the folder to write; whole or, if interrupted, absent.

    Raises:
        UserError: if the folder cannot be written or holds something else.

    Example:
        >>> import jaxlatent, tempfile
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(8, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> folder = tempfile.mkdtemp()
        >>> jaxlatent.save(DCGAN(config, rngs=nnx.Rngs(0)), folder)
        >>> jaxlatent.load(folder).config == config
        True
    """
    import orbax.checkpoint as ocp

    arrays = parameters(generator)
    description = {
        "format": "jaxlatent-bundle",
        "version": _VERSION,
        "family": generator.family,
        "config": dataclasses.asdict(generator.config),
        "origin": None if generator.origin is None else dataclasses.asdict(generator.origin),
        "parameters": {n: {"shape": a.shape, "dtype": str(a.dtype)} for n, a in arrays.items()},
        "fingerprint": fingerprint(generator),
    }
    with atomic_folder(path, CONFIG_FILE) as folder:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder.resolve() / _PARAMETERS, arrays)
            checkpointer.wait_until_finished()
        description["files"] = _checksums(folder)
        (folder / CONFIG_FILE).write_text(json.dumps(description, indent=2) + "\n")


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what a bundle's `config.json` says, without reading the parameters.

    Raises:
        UserError: if the folder is no bundle, or of a newer version.
    """
    file = Path(path) / CONFIG_FILE
    if not file.is_file():
        raise UserError(f"{path} is not a model bundle: it has no {CONFIG_FILE}")
    try:
        description = json.loads(file.read_text())
        kind, version = description["format"], description["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
    if kind != "jaxlatent-bundle" or version != _VERSION:
        raise UserError(
            f"{file} is of format {kind!r} version {version}; jaxlatent-bundle version {_VERSION} "
            "is read"
        )
    if description.get("family") not in FAMILIES:
        raise UserError(
            f"{file} holds a {description.get('family')!r}; known are {', '.join(FAMILIES)}"
        )
    return description


def _checksums(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file of the parameters."""
    files = sorted(path for path in (folder / _PARAMETERS).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def load_bundle(path: str | os.PathLike[str]) -> Generator:
    """Reads a model bundle.

    Raises:
        UserError: if the folder is no bundle, or a file in it is missing or not as it was saved.
    """
    import orbax.checkpoint as ocp

    description = describe(path)
    expected, found = description.get("files", {}), _checksums(Path(path))
    wrong = sorted(name for name in expected if expected[name] != found.get(name))
    if wrong or not expected:
        raise UserError(
            f"the parameters in {path} are damaged ({listed(wrong or ['no files'], 3)}); convert "
            "the checkpoint again"
        )
    config_class, _ = FAMILIES[description["family"]]
    try:
        config = config_class(**{k: _tuples(v) for k, v in description["config"].items()})
        targets = {
            name: jax.ShapeDtypeStruct(tuple(stored["shape"]), jnp.dtype(stored["dtype"]))
            for name, stored in description["parameters"].items()
        }
        origin = description["origin"] and Origin(**description["origin"])
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{Path(path) / CONFIG_FILE} is damaged: {error}") from None
    if {name: target.shape for name, target in targets.items()} != parameter_shapes(config):
        raise UserError(f"the parameters in {path} are not those of its config")
    with ocp.StandardCheckpointer() as checkpointer:
        arrays = checkpointer.restore(Path(path).resolve() / _PARAMETERS, targets)
    return build(config, arrays, origin)


def load(
    path: str | os.PathLike[str],
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Generator:
    """Loads a generator from a model bundle, or from a checkpoint file of another project.

    Args:
        path: a bundle's folder, or a checkpoint file (read by the package `converters`).
        format: the checkpoint's format, if it should not be detected.
        options: what a checkpoint leaves open, such as `{"image_size": "28"}`.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        UserError: if it cannot be read as a generator.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    if Path(path).is_dir():
        if format is not None or options:
            raise UserError(f"{path} is a bundle; format and options are for checkpoint files")
        return load_bundle(path)
    from converters import convert

    return convert(path, format, options).generator

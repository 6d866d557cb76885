"""Networks on disk: a folder with a readable `config.json` and the parameters."""

import dataclasses
import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxlatent import embedded
from jaxlatent.configs import record, typed
from jaxlatent.errors import UserError, listed
from jaxlatent.files import atomic_folder
from jaxlatent.generators import Generator
from jaxlatent.model import Model, Origin
from jaxlatent.parameters import FAMILIES, build, fingerprint, parameter_shapes, parameters

CONFIG_FILE = "config.json"
WEIGHTS = ("pytorch_model.bin", "model.safetensors")  # what Hugging Face folders hold
_PARAMETERS = "parameters"
_VERSION = 1
_SPARE = 4 << 20  # bytes that a bundle may take beside the numbers


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Writes a network as a model bundle, replacing an earlier bundle of that name.

    Args:
        model: any generator or other network.
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

    arrays = parameters(model)
    description = {
        "format": "jaxlatent-bundle",
        "version": _VERSION,
        "family": model.family,
        "config": dataclasses.asdict(model.config),
        "origin": None if model.origin is None else dataclasses.asdict(model.origin),
        "parameters": {n: {"shape": a.shape, "dtype": str(a.dtype)} for n, a in arrays.items()},
        "fingerprint": fingerprint(model),
    }
    size = sum(array.nbytes for array in arrays.values())
    with atomic_folder(path, is_bundle) as folder:
        free = shutil.disk_usage(folder).free
        if free < size + _SPARE:
            raise UserError(
                f"cannot write the parameters: they need {(size + _SPARE) >> 20} MiB, the disk "
                f"has {free >> 20} MiB left"
            )
        try:
            with ocp.StandardCheckpointer() as checkpointer:
                checkpointer.save(folder / _PARAMETERS, arrays)
                checkpointer.wait_until_finished()
        except Exception as error:  # Orbax has no class for a full or failing disk
            reason = str(error).rpartition(": ")[2]
            raise UserError(f"cannot write the parameters: {reason}") from None
        description["files"] = _checksums(folder)
        (folder / CONFIG_FILE).write_text(json.dumps(description, indent=2) + "\n")


def is_bundle(path: Path) -> bool:
    """Tells whether a folder is a bundle and holds nothing but what `save` wrote."""
    try:
        files = {Path(name) for name in (CONFIG_FILE, *describe(path)["files"])}
    except (UserError, KeyError, TypeError):
        return False
    folders = {parent for file in files for parent in file.parents} - {Path()}
    found = list(path.rglob("*"))
    return {f.relative_to(path) for f in found} == files | folders and not any(
        f.is_symlink() for f in found
    )


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what a bundle's `config.json` says, without reading the parameters.

    Raises:
        UserError: if the folder is no bundle, or of a newer version.
    """
    path = Path(path)
    file = path / CONFIG_FILE
    if not file.is_file():
        raise UserError(f"{path} is not a model bundle: it has no {CONFIG_FILE}")
    try:
        description = json.loads(file.read_text())
        kind, version = description["format"], description["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
    if kind != "jaxlatent-bundle" or version != _VERSION:
        raise UserError(
            f"{file} is of format {kind!r} version {version}; jaxlatent-bundle version {_VERSION} "
            "is read"
        )
    if description.get("family") not in list(FAMILIES):
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


def load_bundle(path: str | os.PathLike[str]) -> Model:
    """Reads a model bundle.

    Raises:
        UserError: if the folder is no bundle, or a file in it is missing or not as it was saved.
    """
    import orbax.checkpoint as ocp

    description = describe(path)
    found = _checksums(Path(path))
    config_class, _ = FAMILIES[description["family"]]
    try:
        expected = typed(dict, description["files"])
        config = record(config_class, description["config"])
        targets = {
            name: jax.ShapeDtypeStruct(tuple(stored["shape"]), jnp.dtype(stored["dtype"]))
            for name, stored in typed(dict, description["parameters"]).items()
        }
        origin = None if description["origin"] is None else record(Origin, description["origin"])
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{Path(path) / CONFIG_FILE} is damaged: {error}") from None
    wrong = sorted(name for name in expected if expected[name] != found.get(name))
    if wrong or not expected:
        raise UserError(
            f"the parameters in {path} are damaged ({listed(wrong or ['no files'], 3)}); convert "
            "the checkpoint again"
        )
    if {name: target.shape for name, target in targets.items()} != parameter_shapes(config):
        raise UserError(f"the parameters in {path} are not those of its config")
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            arrays = checkpointer.restore(Path(path).resolve() / _PARAMETERS, targets)
    except Exception as error:  # the files are as they were saved, but not what config.json says
        raise UserError(f"the parameters in {path} cannot be read: {error}") from None
    return build(config, arrays, origin)


def load(
    path: str | os.PathLike[str],
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Generator:
    """Loads a generator that comes with the package, a model bundle, or another project's file.

    Args:
        path: "avatars", which comes with the package ("./avatars" is a folder); a bundle's folder;
            or a checkpoint file (read by the package `converters`).
        format: the checkpoint's format, if it should not be detected.
        options: what a checkpoint leaves open, such as `{"image_size": "28"}`.

    Warns:
        UserWarning: of each guess that a checkpoint needed; options say what it leaves open.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        UserError: if it cannot be read, or is a network that generates nothing.
    """
    model = _read(path, format, options)
    if not isinstance(model, Generator):
        raise UserError(f"{path} is no generator: it holds a network of the family {model.family}")
    return model


def load_model(
    path: str | os.PathLike[str],
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Model:
    """Loads any network, as `load` does a generator: an encoder, a predictor, LPIPS.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        UserError: if it cannot be read.
    """
    return _read(path, format, options)


def _read(
    path: str | os.PathLike[str], format: str | None, options: dict[str, str] | None
) -> Model:
    if path in embedded.NAMES:
        if format is not None or options:
            raise UserError(f"{path} comes with the package; format and options are for files")
        return embedded.load_embedded(str(path))
    if not Path(path).exists():
        raise FileNotFoundError(
            f"no such file or folder: {path}; by name come {' and '.join(embedded.NAMES)}"
        )
    if Path(path).is_dir() and not any((Path(path) / name).is_file() for name in WEIGHTS):
        if format is not None or options:
            raise UserError(f"{path} is a bundle; format and options are for checkpoint files")
        return load_bundle(path)
    from converters import convert

    converted = convert(path, format, options)
    for notice in converted.notices:
        warnings.warn(f"{path}: {notice}", stacklevel=3)  # where load was called
    return converted.model

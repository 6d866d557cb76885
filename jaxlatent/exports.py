"""Generators for programs without this library: StableHLO that any JAX runs, and safetensors.

An export to StableHLO is a folder: `parameters.safetensors`, and a serialized `jax.export` program
for each step (`map`, `synthesize`), lowered for CPU, CUDA and TPU, of any number of samples.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent.configs import record, typed
from jaxlatent.errors import UserError
from jaxlatent.files import atomic_file, atomic_folder
from jaxlatent.generators import Generator
from jaxlatent.model import Model, Origin
from jaxlatent.parameters import FAMILIES, build, fingerprint, parameters

PLATFORMS = ("cpu", "cuda", "tpu")
MODEL_FORMAT = "jaxlatent-model-1"
_MANIFEST, _PARAMETERS, _SUFFIX = "export.json", "parameters.safetensors", ".stablehlo"
_SAMPLES = 2  # that are compared after an export

Programs = dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]


def save_safetensors(model: Model, path: str | os.PathLike[str]) -> None:
    """Writes a network as one safetensors file, its config in the metadata; `load` reads it.

    Args:
        model: any network.
        path: the file to write; whole or, if interrupted, absent.

    Example:
        >>> import tempfile
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(8, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> file = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> save_safetensors(DCGAN(config, rngs=nnx.Rngs(0)), file)
        >>> load_safetensors(file).config == config
        True
    """
    from safetensors.flax import save

    description = {
        "family": model.family,
        "config": dataclasses.asdict(model.config),
        "origin": None if model.origin is None else dataclasses.asdict(model.origin),
        "fingerprint": fingerprint(model),
    }
    metadata = {"format": MODEL_FORMAT, "model": json.dumps(description)}
    with atomic_file(path) as temporary:
        temporary.write_bytes(save(parameters(model), metadata))
        load_safetensors(temporary)  # checks that it is what was to be written


def is_safetensors_model(path: Path) -> bool:
    """Tells whether a file was written by `save_safetensors`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return False
    try:
        with safe_open(path, "numpy") as file:
            return (file.metadata() or {}).get("format") == MODEL_FORMAT
    except (SafetensorError, OSError):
        return False


def load_safetensors(path: str | os.PathLike[str]) -> Model:
    """Reads a network that `save_safetensors` wrote.

    Raises:
        UserError: if the file holds none, or parameters do not fit the config.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "flax") as file:
            description = json.loads((file.metadata() or {})["model"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = record(FAMILIES[description["family"]][0], description["config"])
        origin = None if description["origin"] is None else record(Origin, description["origin"])
        typed(str, description["fingerprint"])
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} holds no model: {error}") from None
    model = build(config, arrays, origin)
    if fingerprint(model) != description["fingerprint"]:
        raise UserError(f"{path} is damaged: its parameters are not those that were written")
    return model


def is_export(path: Path) -> bool:
    """Tells whether a folder holds an export and nothing else."""
    try:
        programs = json.loads((path / _MANIFEST).read_text())["programs"]
        expected = {_MANIFEST, _PARAMETERS, *(f"{name}{_SUFFIX}" for name in programs)}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return {file.name for file in path.iterdir()} == expected


def save_stablehlo(generator: Model, path: str | os.PathLike[str]) -> dict[str, float]:
    """Writes a generator as a folder of StableHLO programs and their parameters.

    A program's arguments are the parameters by name, then z [n, z_dim] (`map`) or codes [n, L, d]
    (`synthesize`), then the class weights [n, classes] of a conditional generator; `n` is any
    number. Noise is constant. Read again with nothing but JAX:

        program = jax.export.deserialize(bytearray(file.read_bytes()))
        images = program.call(safetensors.flax.load_file("parameters.safetensors"), codes)

    Args:
        generator: the generator.
        path: the folder to write, or an earlier export, which is replaced.

    Returns:
        For each program, the largest difference of its outputs, read again and run on this
        machine, from the generator's own, relative to their largest value.

    Raises:
        UserError: if it is no generator, or the folder cannot be written or holds something else.
    """
    if not isinstance(generator, Generator):
        raise UserError(
            f"StableHLO is written of generators; this is a network of the family "
            f"{generator.family}, which is exported as safetensors"
        )
    from safetensors.flax import load_file
    from safetensors.flax import save as packed

    arrays, programs = parameters(generator), _programs(generator)
    with atomic_folder(path, is_export) as folder:
        for name, (function, arguments) in programs.items():
            exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(arrays, *arguments)
            (folder / f"{name}{_SUFFIX}").write_bytes(exported.serialize())
        (folder / _PARAMETERS).write_bytes(packed(arrays))
        manifest = {
            "programs": {n: _described(arguments) for n, (_, arguments) in programs.items()},
            "platforms": PLATFORMS,
            "family": generator.family,
            "config": dataclasses.asdict(generator.config),
            "fingerprint": fingerprint(generator),
            "jax": jax.__version__,
        }
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        stored = load_file(folder / _PARAMETERS)
        return {
            name: _difference(folder / f"{name}{_SUFFIX}", function, stored, arguments)
            for name, (function, arguments) in programs.items()
        }


def _programs(generator: Generator) -> Programs:
    """Returns each step as a function of the parameters and symbolic arguments."""
    config = generator.config
    (n,) = jax.export.symbolic_shape("n")
    classes = generator.num_classes

    def argument(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((n, *shape), jnp.float32)

    def rebuilt(arrays: dict[str, jax.Array]) -> Any:
        return build(config, arrays)

    def mapped(arrays: dict[str, jax.Array], z: jax.Array, *label: jax.Array) -> jax.Array:
        generator = rebuilt(arrays)
        return generator.broadcast(generator.map(z, *label))

    def synthesized(arrays: dict[str, jax.Array], codes: jax.Array, *label: jax.Array) -> jax.Array:
        return rebuilt(arrays).synthesize(codes, label=label[0] if label else None)

    labels = (argument(classes),) if classes else ()
    return {
        "map": (mapped, (argument(generator.z_dim), *labels)),
        "synthesize": (
            synthesized,
            (argument(generator.num_layers, generator.code_dim), *labels),
        ),
    }


def _described(arguments: tuple[Any, ...]) -> list[list[str]]:
    return [[str(size) for size in argument.shape] for argument in arguments]


def _difference(
    file: Path,
    function: Callable[..., jax.Array],
    arrays: dict[str, jax.Array],
    arguments: tuple[Any, ...],
) -> float:
    """Runs a program that was read again, and the function that it was made of."""
    random = np.random.RandomState(0)
    shapes = [(_SAMPLES, *argument.shape[1:]) for argument in arguments]
    values = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    program = jax.export.deserialize(bytearray(file.read_bytes()))
    again = np.asarray(program.call(arrays, *values))
    own = np.asarray(jax.jit(function)(arrays, *values))
    return float(np.abs(again - own).max() / (np.abs(own).max() or 1))

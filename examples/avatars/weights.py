"""Attribute networks as one safetensors file: half-precision weights, config and names."""

import dataclasses
import json
import os

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import save_file

from examples.avatars.attribute_net import AttributeNet, AttributeNetConfig
from examples.avatars.data import Schema
from jaxlatent.files import atomic_file


def _name(path: tuple[object, ...]) -> str:
    return "/".join(map(str, path))


def save_net(
    net: AttributeNet,
    schema: Schema,
    temperatures: tuple[float, ...],
    path: str | os.PathLike[str],
) -> None:
    """Writes a network, the names of what it predicts, and its categories' temperatures."""
    flat = nnx.to_flat_state(nnx.split(net)[1])
    arrays = {_name(p): np.asarray(v.get_value(), np.float16) for p, v in flat}
    metadata = {
        "config": json.dumps(dataclasses.asdict(net.config)),
        "schema": json.dumps(dataclasses.asdict(schema)),
        "temperatures": json.dumps(temperatures),
    }
    with atomic_file(path) as temporary:
        save_file(arrays, temporary, metadata)


def load_net(path: str | os.PathLike[str]) -> tuple[AttributeNet, Schema, tuple[float, ...]]:
    """Reads what `save_net` wrote."""
    with safe_open(path, "numpy") as file:
        metadata = {name: json.loads(text) for name, text in file.metadata().items()}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    fields = metadata["config"]
    config = AttributeNetConfig(
        **{name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    )
    schema = Schema(
        {name: tuple(values) for name, values in metadata["schema"]["categories"].items()},
        {name: tuple(bounds) for name, bounds in metadata["schema"]["factors"].items()},
    )
    graph, state = nnx.split(nnx.eval_shape(lambda: AttributeNet(config, rngs=nnx.Rngs(0))))
    filled = [
        (p, v.replace(jnp.asarray(arrays[_name(p)], jnp.float32)))
        for p, v in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled)), schema, tuple(metadata["temperatures"])

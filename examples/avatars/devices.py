"""All devices of the machine as one axis, over which batches are spread."""

from typing import TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

Tree = TypeVar("Tree")


def _mesh() -> Mesh:
    return jax.make_mesh((jax.device_count(),), ("n",), axis_types=(AxisType.Auto,))


def replicate(tree: Tree) -> Tree:
    """Puts a tree of arrays on every device; also for use in a jitted function."""
    if jax.device_count() == 1:
        return tree
    return jax.device_put(tree, NamedSharding(_mesh(), PartitionSpec()))


def spread(batch: Array) -> Array:
    """Gives each device its part of a batch; for use in a jitted function."""
    if jax.device_count() == 1:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(_mesh(), PartitionSpec("n")))

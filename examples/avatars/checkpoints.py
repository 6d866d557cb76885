"""Training states on disk by Orbax, whole or absent, the last few kept; and trained networks."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import jax
import orbax.checkpoint as ocp

from jaxlatent import load_model
from jaxlatent.errors import UserError, listed
from jaxlatent.networks import AttributeNet
from jaxlatent.parameters import cast

Tree = TypeVar("Tree")


def _named(tree: Any) -> dict[str, jax.Array]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def read_net(path: str | os.PathLike[str]) -> AttributeNet:
    """Reads the file that `train_predictor` wrote.

    Raises:
        UserError: if it is something else.
    """
    net = load_model(path)
    if not isinstance(net, AttributeNet):
        raise UserError(f"{path} is no attribute network but of the family {net.family}")
    return cast(net, "float32")


class Checkpoints:
    """The checkpoints of one run; a context manager, which waits for what is being written."""

    def __init__(self, folder: str | os.PathLike[str], keep: int = 3) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        handler = ocp.StandardCheckpointHandler()
        self._manager = ocp.CheckpointManager(
            Path(folder).resolve(), options=options, item_handlers=handler
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._manager.close()

    @property
    def latest(self) -> int | None:
        """The number of the last whole checkpoint, or `None`."""
        return self._manager.latest_step()

    def save(self, step: int, tree: Any) -> None:
        """Writes a tree of arrays; returns when it is on disk."""
        if step != self.latest:
            self._manager.save(step, args=ocp.args.StandardSave(_named(tree)))
            self._manager.wait_until_finished()

    def restore(self, like: Tree) -> Tree:
        """Returns the last checkpoint as a tree like the given one.

        Raises:
            UserError: if there is none, or it holds other arrays.
        """
        if self.latest is None:
            raise UserError("there is no checkpoint to go on from")
        wanted = _named(like)
        saved = self._manager.item_metadata(self.latest)
        shapes = {} if saved is None else {n: tuple(a.shape) for n, a in saved.items()}
        names = sorted(shapes.keys() | wanted.keys())
        wrong = [n for n in names if n not in wanted or shapes.get(n) != wanted[n].shape]
        if wrong:
            raise UserError(f"the checkpoint is of another recipe: {listed(wrong, 4)} differ")
        restored = self._manager.restore(self.latest, args=ocp.args.StandardRestore(wanted))
        return jax.tree.unflatten(jax.tree.structure(like), [restored[name] for name in wanted])

"""The state of an inversion on disk, so that an interrupted run goes on bit by bit."""

import dataclasses
import hashlib
import json
import os
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent.errors import UserError
from jaxlatent.files import atomic_file

_SECONDS = 20.0  # from one saved state to the next
_RUN = "run.json"
_FILES = r"run\.json|part-\d+\.npz|\.\w+\.tmp\.(json|npz)"  # those being written when killed too


def described(thing: Any) -> str:
    """Returns a text that is the same in every process for the same numbers and settings.

    Args:
        thing: a pytree, a dataclass or a function; arrays count by their content.

    Example:
        >>> described({"a": 1}) == described({"a": 1}), described(1) == described(2)
        (True, False)
    """
    leaves, tree = jax.tree.flatten(thing)
    parts = [str(tree)]
    for leaf in leaves:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        if isinstance(leaf, jax.Array | np.ndarray):
            array = np.ascontiguousarray(leaf)
            digest = hashlib.sha256(array.tobytes()).hexdigest()
            parts.append(f"{array.dtype}{array.shape}{digest}")
        elif dataclasses.is_dataclass(leaf):
            own = [getattr(leaf, field.name) for field in dataclasses.fields(leaf)]
            parts.append(f"{type(leaf).__qualname__}{[described(value) for value in own]}")
        elif callable(leaf):
            parts.append(f"{leaf.__module__}.{getattr(leaf, '__qualname__', type(leaf))}")
        else:
            parts.append(repr(leaf))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_run(folder: Path) -> bool:
    """Tells whether a folder holds the state of a run and nothing else."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return _RUN in names and all(re.fullmatch(_FILES, name) for name in names)


def check_folder(folder: str | Path | None) -> None:
    """Raises `UserError` unless a run's state can be kept there."""
    if folder is None:
        return
    there = Path(folder).absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{folder} cannot be written: {there} is no folder that may be written to")


class Store:
    """A folder of one run; without a folder, nothing is kept."""

    def __init__(self, folder: str | Path | None, run: dict[str, Any]) -> None:
        """Opens or begins a run.

        Args:
            folder: where it is kept, or `None`.
            run: all that its result depends on, by name.

        Raises:
            UserError: if the folder holds another run.
        """
        self._folder = None if folder is None else Path(folder)
        if self._folder is None:
            return
        check_folder(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        now = {name: described(value) for name, value in run.items()}
        file = self._folder / _RUN
        if file.is_file():
            before = _read_json(file)
            changed = [name for name in now if now[name] != before.get(name)]
            if changed:
                raise UserError(
                    f"{self._folder} holds another run (of other {', '.join(changed)}); choose "
                    "another folder or delete it"
                )
            return
        with atomic_file(file) as temporary:
            temporary.write_text(json.dumps(now, indent=1) + "\n")

    def part(self, first: int) -> "Part":
        """Returns the part of the runs from number `first` on."""
        return Part(None if self._folder is None else self._folder / f"part-{first}.npz")


class Part:
    """A chunk's file: its state, and the losses of the steps so far."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._saved = time.monotonic()

    def restored(self, state: Any) -> tuple[Any, list[Any]]:
        """Returns the state that was kept and the losses before it, or what is given."""
        if self._file is None or not self._file.is_file():
            return state, []
        leaves, tree = jax.tree.flatten(state)
        try:
            with self._file.open("rb") as file, np.load(file, allow_pickle=False) as held:
                kept = [jnp.asarray(held[f"leaf{i}"]) for i in range(len(leaves))]
                losses = list(held["losses"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self._file} is damaged ({error}); delete it, and its images begin anew"
            ) from None
        return jax.tree.unflatten(tree, kept), losses

    def save_sometimes(self, state: Any, losses: list[Any]) -> None:
        """Keeps the state if the last one is some time ago."""
        if time.monotonic() - self._saved >= _SECONDS:
            self.save(state, losses)

    def save(self, state: Any, losses: list[Any]) -> None:
        """Keeps the state."""
        if self._file is None:
            return
        arrays: dict[str, Any] = {
            f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))
        }
        arrays["losses"] = np.stack([np.asarray(loss) for loss in losses])
        with atomic_file(self._file) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        self._saved = time.monotonic()


def _read_json(file: Path) -> dict[str, Any]:
    try:
        held = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"{file} is damaged: {error}") from None
    if not isinstance(held, dict):
        raise UserError(f"{file} is damaged: it is no record of a run")
    return held

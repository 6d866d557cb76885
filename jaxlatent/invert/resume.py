"""The state of an inversion on disk, so that an interrupted run goes on bit by bit."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent.errors import UserError
from jaxlatent.files import atomic_file
from jaxlatent.parameters import fingerprint

_SECONDS = 20.0  # from one saved state to the next
_RUN = "run.json"


class Store:
    """A folder of one run; without a folder, nothing is kept."""

    def __init__(
        self, folder: str | Path | None, recipe: Any, generator: Any, images: Any, size: int
    ) -> None:
        self._folder = None if folder is None else Path(folder)
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(np.ascontiguousarray(np.asarray(images)).tobytes())
        described = {
            "recipe": repr(recipe),
            "generator": fingerprint(generator),
            "images": digest.hexdigest(),
            "chunk": size,
            "backend": jax.default_backend(),
        }
        file = self._folder / _RUN
        if file.is_file():
            before = json.loads(file.read_text())
            changed = [name for name in described if described[name] != before.get(name)]
            if changed:
                raise UserError(
                    f"{self._folder} holds another run (of other {', '.join(changed)}); choose "
                    "another folder or delete it"
                )
            return
        with atomic_file(file) as temporary:
            temporary.write_text(json.dumps(described, indent=1) + "\n")

    def part(self, first: int) -> "Part":
        """Returns the part of the runs from number `first` on."""
        return Part(None if self._folder is None else self._folder / f"part-{first}.npz")


class Part:
    """A chunk's file: its state while it runs, and then its result."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._saved = time.monotonic()

    def finished(self) -> Any:
        """Returns the result, if the chunk was ended."""
        held = self._read()
        if held is None or not int(held["ended"]):
            return None
        maps = sum(name.startswith("noise") for name in held)
        best = {"code": held["code"], "noise": tuple(held[f"noise{i}"] for i in range(maps))}
        return best, held["least"], held["history"]

    def finish(self, whole: Any) -> None:
        """Keeps the result in the place of the state."""
        best, least, history = whole
        arrays = {f"noise{i}": noise for i, noise in enumerate(best["noise"])}
        self._write(arrays | {"code": best["code"], "least": least, "history": history}, 1)

    def restored(self, state: Any) -> tuple[Any, list[Any]]:
        """Returns the state that was kept and the losses before it, or what is given."""
        held = self._read()
        if held is None:
            return state, []
        leaves, tree = jax.tree.flatten(state)
        kept = [jnp.asarray(held[f"leaf{i}"]) for i in range(len(leaves))]
        return jax.tree.unflatten(tree, kept), list(held["losses"])

    def save_sometimes(self, state: Any, losses: list[Any]) -> None:
        """Keeps the state if the last one is some time ago."""
        if self._file is None or time.monotonic() - self._saved < _SECONDS:
            return
        leaves = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        self._write(leaves | {"losses": np.stack([np.asarray(loss) for loss in losses])}, 0)
        self._saved = time.monotonic()

    def _read(self) -> dict[str, np.ndarray] | None:
        if self._file is None or not self._file.is_file():
            return None
        with np.load(self._file, allow_pickle=False) as held:
            return dict(held)

    def _write(self, arrays: dict[str, np.ndarray], ended: int) -> None:
        if self._file is None:
            return
        with atomic_file(self._file) as temporary, temporary.open("wb") as file:
            np.savez(file, **{"ended": np.int32(ended), **arrays})

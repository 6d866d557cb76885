"""Where the goldens are, the outputs of original code, and how to load one with its network."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parity import recipe
from converters import Checkpoint, convert, detect
from converters.convert import convert_tree
from jaxlatent.model import Model

OWN = Path(__file__).parents[2] / "tests" / "goldens"
LARGER = Path(os.environ.get("JAXLATENT_GOLDENS", Path(__file__).parents[3] / "shared" / "goldens"))
_DATA = ("golden.npz", "meta.json")
_NO_WEIGHTS = (".npz", ".json", ".txt", ".md")


@dataclass(frozen=True)
class Golden:
    """One network of original code and what it computed.

    Attributes:
        name: the folder's name.
        folder: where it is.
        arrays: inputs and outputs by name.
        meta: how they were made.
    """

    name: str
    folder: Path
    arrays: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]

    def convert(self, **options: str) -> Model:
        """Returns the network of the golden's checkpoint, or of the arrays that stand for one."""
        for layout in ("state_dict_layout", "trunk_layout"):
            if layout in self.meta:
                tree = recipe.arrays(self.meta[layout], self.meta["recipe"])
                checkpoint = Checkpoint(self.folder, "recipe", tree, "")
                return convert_tree(checkpoint, detect(tree), options).model
        (file,) = (f for f in self.folder.iterdir() if f.suffix not in _NO_WEIGHTS)
        return convert(file, options=options).model


def folders() -> dict[str, Path]:
    """Returns the goldens that are here; of two, that of the larger set, which has more arrays."""
    found = [*OWN.iterdir(), *(LARGER.iterdir() if LARGER.is_dir() else ())]
    return {f.name: f for f in found if all((f / name).is_file() for name in _DATA)}


@cache
def load(name: str) -> Golden:
    """Returns a golden."""
    folder = folders()[name]
    arrays, meta = (folder / name for name in _DATA)
    return Golden(name, folder, dict(np.load(arrays)), json.loads(meta.read_text()))


def nchw(images: Any) -> np.ndarray:
    """Turns our images into the goldens' layout."""
    return np.asarray(images).transpose(0, 3, 1, 2)


def nhwc(images: Any) -> np.ndarray:
    """Turns the goldens' images into our layout."""
    return np.asarray(images).transpose(0, 2, 3, 1)

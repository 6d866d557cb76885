"""jaxlatent: interpret and edit the latent spaces of GANs in JAX.

Finders produce `Directions`; edits consume them; both speak only to a `Generator`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jaxlatent import find, generators, networks, paths
    from jaxlatent.allocator import keep_memory
    from jaxlatent.bundle import load, load_model, save
    from jaxlatent.directions import Directions, FingerprintWarning
    from jaxlatent.edits import Edit, edit
    from jaxlatent.errors import UserError
    from jaxlatent.generators import Generator
    from jaxlatent.preparation import prepare, unprepared
    from jaxlatent.sheet import save_sheet
    from jaxlatent.sweeps import render, sweep

# Loaded on first use: importing JAX takes seconds, which `jaxlatent --help` need not wait for.
_HOMES = {
    "Directions": "directions",
    "Edit": "edits",
    "FingerprintWarning": "directions",
    "Generator": "generators",
    "UserError": "errors",
    "edit": "edits",
    "keep_memory": "allocator",
    "load": "bundle",
    "load_model": "bundle",
    "prepare": "preparation",
    "render": "sweeps",
    "save": "bundle",
    "save_sheet": "sheet",
    "sweep": "sweeps",
    "unprepared": "preparation",
}

__all__ = [
    "Directions",
    "Edit",
    "FingerprintWarning",
    "Generator",
    "UserError",
    "edit",
    "find",
    "generators",
    "keep_memory",
    "load",
    "load_model",
    "networks",
    "paths",
    "prepare",
    "render",
    "save",
    "save_sheet",
    "sweep",
    "unprepared",
]


def __getattr__(name: str) -> Any:
    if name in ("find", "generators", "networks", "paths"):
        return importlib.import_module(f"jaxlatent.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"jaxlatent.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'jaxlatent' has no attribute {name!r}")

"""The networks that come with the package: no download, no file of the user's."""

import importlib.resources
import os
from pathlib import Path

NAMES = ("avatars", "avatars-attributes")
"""A StyleGAN2 of cartoon heads in 64x64 pixels, and the network that reads their attributes."""


def located(path: str | os.PathLike[str]) -> Path:
    """Returns the folder of the network of this name, or else the path itself.

    A file or folder of the same name is meant by `./avatars`.

    Example:
        >>> located("avatars").is_dir(), located("./avatars")
        (True, PosixPath('avatars'))
    """
    if path in NAMES:
        return Path(str(importlib.resources.files("jaxlatent"))) / "data" / str(path)
    return Path(path)

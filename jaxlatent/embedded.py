"""The networks that come with the package: no download, no file of the user's."""

import importlib.resources
from pathlib import Path

from jaxlatent.exports import load_safetensors
from jaxlatent.model import Model
from jaxlatent.parameters import cast

NAMES = ("avatars", "avatars-attributes")
"""A StyleGAN2 of cartoon heads in 64x64 pixels, and the network that reads their attributes."""


def load_embedded(name: str) -> Model:
    """Loads one of `NAMES`; stored in half precision, it computes in single precision.

    Example:
        >>> load_embedded("avatars").image_shape
        (64, 64, 3)
    """
    file = Path(str(importlib.resources.files("jaxlatent"))) / "data" / f"{name}.safetensors"
    return cast(load_safetensors(file), "float32")

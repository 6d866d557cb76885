"""The networks that come with the package: no download, no file of the user's."""

import hashlib
import importlib.resources
from pathlib import Path

from jaxlatent.exports import load_safetensors
from jaxlatent.generators import Generator
from jaxlatent.model import Model, Origin
from jaxlatent.networks import AttributeNet
from jaxlatent.parameters import cast

NAMES = ("avatars", "avatars-attributes")
"""A StyleGAN2 of cartoon heads in 64x64 pixels, and the network that reads their attributes."""

READERS = {"avatars": "avatars-attributes"}
"""The network that reads what a generator draws."""

_FORMAT = "jaxlatent"
_LICENSE = (
    "Apache-2.0; trained on drawings after Avataaars by Pablo Stanley (avataaars.com), a design "
    "that is free for personal and commercial use"
)


def load_embedded(name: str) -> Model:
    """Loads one of `NAMES`; stored in half precision, it computes in single precision.

    Example:
        >>> load_embedded("avatars").image_shape
        (64, 64, 3)
    """
    file = Path(str(importlib.resources.files("jaxlatent"))) / "data" / f"{name}.safetensors"
    model = cast(load_safetensors(file), "float32")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    model.origin = Origin(_FORMAT, file.name, digest, _LICENSE)
    return model


def load_reader(name: str) -> AttributeNet | None:
    """Loads the network that reads what a generator draws, if one comes with the package.

    Example:
        >>> load_reader("avatars").names[:2]
        ('hair: bald', 'hair: flat')
    """
    network = load_embedded(READERS[name]) if name in READERS else None
    return network if isinstance(network, AttributeNet) else None


def reader_of(generator: Generator) -> AttributeNet | None:
    """Does as `load_reader`, for a loaded generator and for one saved and loaded again.

    Example:
        >>> reader_of(load_embedded("avatars")).config.side
        64
    """
    origin = generator.origin
    if origin is None or origin.format != _FORMAT:
        return None
    return load_reader(Path(origin.file).stem)

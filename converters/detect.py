"""Which format is this file? Decided by its contents alone, never by its name."""

from typing import Any

from converters import (
    dcgan_torch,
    encoder_psp,
    lpips_torch,
    resnet_torchvision,
    stylegan2_nvidia,
    stylegan2_rosinality,
)
from converters.errors import ConversionError
from converters.formats import Format, summary

FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        stylegan2_nvidia.FORMAT,
        encoder_psp.FORMAT,  # before its decoder's
        stylegan2_rosinality.FORMAT,
        resnet_torchvision.FORMAT,
        lpips_torch.LPIPS,
        lpips_torch.TRUNK,
        dcgan_torch.FORMAT,
    )
}


def detect(tree: Any) -> Format:
    """Returns the format that a file's contents have.

    Raises:
        ConversionError: if it is none that is read, saying what the file holds.

    Example:
        >>> import numpy as np
        >>> detect({"fc.weight": np.zeros((3, 4))})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        converters.errors.ConversionError: no known generator in the file, which holds
        fc.weight [3, 4]; formats read: nvidia-stylegan2, ...
    """
    for known in FORMATS.values():
        if known.matches(tree):
            return known
    raise ConversionError(
        f"no known generator in the file, which holds {summary(tree)}; "
        f"formats read: {', '.join(FORMATS)}"
    )


def describe_formats() -> str:
    """Returns what is read: each format's name, who writes it, its licence, its options.

    Example:
        >>> describe_formats().splitlines()[0]
        'nvidia-stylegan2'
    """
    lines = []
    for known in FORMATS.values():
        lines += [known.name, f"  written by  {known.title}", f"  licence     {known.license}"]
        lines += [f"  --option {name}=...  {o.help}" for name, o in known.options.items()]
    return "\n".join(lines)


def named(name: str) -> Format:
    """Returns the format called `name`, or raises `ConversionError` with the names there are."""
    if name not in FORMATS:
        raise ConversionError(f"no format {name!r}; formats read: {', '.join(FORMATS)}")
    return FORMATS[name]

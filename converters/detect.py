"""Which format is this file? Decided by its contents alone, never by its name."""

from typing import Any

from converters import (
    dcgan_torch,
    stylegan2_nvidia,
    stylegan2_nvidia_tensors,
    stylegan2_rosinality,
    stylegan3_nvidia,
    stylegan3_nvidia_tensors,
)
from converters.errors import ConversionError
from converters.formats import Format, summary

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        stylegan2_nvidia,
        stylegan3_nvidia,
        stylegan2_nvidia_tensors,
        stylegan3_nvidia_tensors,
        stylegan2_rosinality,
        dcgan_torch,
    )
}


def detect(tree: Any) -> Format:
    """Returns the format that a file's contents have.

    Raises:
        ConversionError: if it is none that is read, saying what the file holds.

    Example:
        >>> detect({"fc.weight": np.zeros((3, 4))})
        Traceback (most recent call last):
        converters.errors.ConversionError: no known generator in the file, which holds
        fc.weight [3, 4]; formats read: nvidia-stylegan2, nvidia-stylegan3,
        nvidia-stylegan2-tensors, nvidia-stylegan3-tensors, rosinality-stylegan2, torch-dcgan
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

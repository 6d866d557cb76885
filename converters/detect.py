"""Which format is this file? Decided by its contents alone, never by its name."""

from typing import Any

from converters import (
    biggan_huggingface,
    biggan_pytorch,
    dcgan_torch,
    encoder_psp,
    infogan_natsu6767,
    lpips_torch,
    pggan_genforce,
    pggan_interfacegan,
    pggan_tensorflow,
    resnet_torchvision,
    sngan_mimicry,
    stylegan1_genforce,
    stylegan1_huangzh13,
    stylegan1_interfacegan,
    stylegan1_lernapparat,
    stylegan1_tensorflow,
    stylegan2_genforce,
    stylegan2_nvidia,
    stylegan2_nvidia_tensors,
    stylegan2_rosinality,
    stylegan2_tensorflow,
    stylegan3_nvidia,
    stylegan3_nvidia_tensors,
)
from converters.arrays import state_dicts, summary
from converters.errors import ConversionError
from converters.formats import Format

FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        stylegan2_nvidia.FORMAT,
        stylegan3_nvidia.FORMAT,
        stylegan2_nvidia_tensors.FORMAT,
        stylegan3_nvidia_tensors.FORMAT,
        stylegan2_tensorflow.FORMAT,
        stylegan1_tensorflow.FORMAT,
        pggan_tensorflow.FORMAT,
        encoder_psp.FORMAT,  # before its decoder's
        stylegan2_rosinality.FORMAT,
        stylegan2_genforce.FORMAT,
        stylegan1_genforce.FORMAT,
        stylegan1_interfacegan.FORMAT,
        stylegan1_huangzh13.FORMAT,
        stylegan1_lernapparat.FORMAT,
        pggan_genforce.FORMAT,
        pggan_interfacegan.FORMAT,
        biggan_huggingface.FORMAT,
        biggan_pytorch.FORMAT,
        sngan_mimicry.FORMAT,
        infogan_natsu6767.FORMAT,
        resnet_torchvision.FORMAT,
        lpips_torch.LPIPS,
        lpips_torch.TRUNK,
        dcgan_torch.FORMAT,  # last: it takes a stack under any names
    )
}

_UNREAD = {  # by the name of an array
    "GE.initial_block": "lucidrains/stylegan2-pytorch, an architecture of its own",
    "S.net.0.weight": "lucidrains/stylegan2-pytorch, an architecture of its own",
}

_PAGE = """# Checkpoint formats

Written by `jaxlatent formats --markdown`, not by hand. A file's format is told by its contents,
never by its name; `--format` overrules that. Options are given as `--option name=value`, where a
file leaves something open: what can be guessed is guessed with a notice, what cannot is asked for.
Files may be zip or legacy torch archives, pickles or safetensors, and may wrap the network in dicts
(`state_dict`, `g_ema`, ...) or prefixes (`module.`, `model.`). Nothing in a file is executed.

| `--format` | written by | licence of such weights | options |
|---|---|---|---|"""


def detect(tree: Any) -> Format:
    """Returns the format that a file's contents have.

    Raises:
        ConversionError: if it is none that is read, saying what the file holds.

    Example:
        >>> detect({"fc.weight": 3})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        converters.errors.ConversionError: no known network in the file, which holds
        fc.weight (int); formats read: ...
    """
    for known in FORMATS.values():
        if known.matches(tree):
            return known
    for arrays in state_dicts(tree, ()):
        for mark, reason in _UNREAD.items():
            if mark in arrays:
                raise ConversionError(f"the file is of {reason}, which is not read")
    reason = ""
    if state_dicts(tree, ()):
        try:
            dcgan_torch.FORMAT.recipe(tree, {})
        except ConversionError as error:
            reason = f"no plain stack either: {error}; "
    raise ConversionError(
        f"no known network in the file, which holds {summary(tree)}; {reason}"
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


def formats_page() -> str:
    """Returns what is read as a page in Markdown, docs/formats.md.

    Example:
        >>> formats_page().splitlines()[0]
        '# Checkpoint formats'
    """
    rows = []
    for known in FORMATS.values():
        options = "<br>".join(f"`{name}`: {o.help}" for name, o in known.options.items())
        beside = f" with its `{known.sidecar}`" if known.sidecar else ""
        rows.append(f"| `{known.name}` | {known.title}{beside} | {known.license} | {options} |")
    return "\n".join([_PAGE, *rows, ""])


def named(name: str) -> Format:
    """Returns the format called `name`, or raises `ConversionError` with the names there are."""
    if name not in FORMATS:
        raise ConversionError(f"no format {name!r}; formats read: {', '.join(FORMATS)}")
    return FORMATS[name]

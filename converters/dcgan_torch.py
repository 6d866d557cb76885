"""Plain stacks of ConvTranspose2d and BatchNorm2d under any names (pytorch/examples DCGAN)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from converters.arrays import MAX_LAYERS, Arrays, bounded, contents, fits, state_dicts
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option, integer, integers, positive
from converters.rules import Rule, transposed_conv
from jaxlatent.errors import listed
from jaxlatent.generators import DCGANConfig

_CONTAINERS = ("netG", "generator", "G", "state_dict", "model_state_dict", "model")


@dataclass
class _Stage:
    """One transposed convolution as found in the file, with its batch norm."""

    name: str
    kernel: np.ndarray
    bias: bool
    norm: str | None = None

    @property
    def inputs(self) -> int:
        return self.kernel.shape[0]

    @property
    def outputs(self) -> int:
        return self.kernel.shape[1]


def _stages(arrays: Arrays) -> list[_Stage]:
    """Groups the arrays by layer, in file order, and gives each batch norm to its convolution.

    That is the one listed just before it, or, where all batch norms are listed apart from the
    convolutions, the first one of its size that has none.

    Raises:
        ConversionError: if they are not the layers of a generator.
    """
    groups: dict[str, dict[str, np.ndarray]] = {}
    for key in _in_order(arrays):
        owner, _, leaf = key.rpartition(".")
        groups.setdefault(owner, {})[leaf] = arrays[key]
    stages: list[_Stage] = []
    norms: list[tuple[int, str, tuple[int, ...]]] = []  # convolutions before it, name, size
    for owner, leaves in groups.items():
        weight = leaves.get("weight")
        if "running_mean" in leaves:
            norms.append((len(stages), owner, leaves["running_mean"].shape))
        elif weight is not None and weight.ndim == 4:
            stages.append(_Stage(owner, weight, "bias" in leaves))
        else:
            shapes = {leaf: list(array.shape) for leaf, array in leaves.items()}
            raise ConversionError(
                f"{owner or 'the top level'!r} is neither a ConvTranspose2d nor a BatchNorm2d: "
                f"it has {shapes}"
            )
    apart = all(before in (0, len(stages)) for before, _, _ in norms)
    for before, owner, size in norms:
        near = stages if apart else stages[max(before - 1, 0) : before]
        free = [s for s in near if s.norm is None and (s.outputs,) == size]
        if not free:
            raise ConversionError(f"batch norm {owner!r} follows no convolution of its size")
        free[0].norm = owner
    _check_chain(stages)
    return stages


def _in_order(arrays: Arrays) -> list[str]:
    """Returns the names of the weights in the order of the layers, that of the file.

    Safetensors files sort names as text, main.10 before main.2; then numbers tell the order.
    """
    names = [name for name in arrays if not name.endswith("num_batches_tracked")]
    if names != sorted(names):
        return names
    numbers = re.compile("[0-9]+")
    return sorted(names, key=lambda name: numbers.sub(lambda found: found[0].zfill(9), name))


def _check_chain(stages: list[_Stage]) -> None:
    bounded(len(stages), MAX_LAYERS, "convolutions")
    problems = [
        f"{a.name} gives {a.outputs} channels but {b.name} takes {b.inputs}"
        for a, b in pairwise(stages)
        if a.outputs != b.inputs
    ]
    if len(stages) < 2:
        problems.append(f"{len(stages)} convolutions; a DCGAN generator has at least 2")
    elif problems and all(a.inputs == b.outputs for a, b in pairwise(stages)):
        problems = ["its convolutions run from image to score: this is a discriminator"]
    problems += [
        f"{s.name} has a kernel of {s.kernel.shape[2]}x{s.kernel.shape[3]}; only square ones are "
        "read"
        for s in stages
        if s.kernel.shape[2] != s.kernel.shape[3]
    ]
    if problems:
        raise ConversionError(f"not a DCGAN generator: {'; '.join(problems)}")


def _find(tree: Any) -> tuple[Arrays, list[_Stage], list[str]]:
    """Returns the first state dict that is a generator; if none is, says why the first is not.

    Returns:
        It, its layers, and a notice if there are others.
    """
    problems, found = [], []
    for arrays in state_dicts(tree, _CONTAINERS):
        try:
            found.append((arrays, _stages(arrays)))
        except ConversionError as error:
            problems.append(error)
    if found:
        several = f"the file has {len(found)} generators; the first is read, an average before all"
        return *found[0], [several] if len(found) > 1 else []
    raise (
        problems[0]
        if problems
        else ConversionError(f"no dict of named arrays in the file, which has {contents(tree)}")
    )


def _geometry(stages: list[_Stage], options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Works out strides and paddings: even kernels double the size, the first starts from 1x1."""
    kernels = tuple(s.kernel.shape[2] for s in stages)
    strides, paddings = options.get("strides"), options.get("paddings")
    extra = options.get("output_paddings", (0,) * len(stages))
    given = {"strides": strides, "paddings": paddings, "output_paddings": extra}
    wrong = [k for k, v in given.items() if v is not None and len(v) != len(stages)]
    if wrong:
        raise ConversionError(f"{', '.join(wrong)}: one number for each of {len(stages)} layers")
    if strides is None or paddings is None:
        if (strides is None) != (paddings is None):
            raise ConversionError("give both strides and paddings, or neither")
        strides, paddings = _guess(stages, kernels, options.get("image_size"))
    return {
        "kernels": kernels,
        "strides": strides,
        "paddings": paddings,
        "output_paddings": extra,
    }


def _guess(
    stages: list[_Stage], kernels: tuple[int, ...], image_size: int | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    strides, paddings, size = [1], [0], kernels[0]
    possible = range(0)
    for stage, kernel in zip(stages[1:], kernels[1:], strict=True):
        last = stage is stages[-1]
        if kernel % 2 == 0:
            strides.append(2)
            paddings.append((kernel - 2) // 2)
            size *= 2
        elif kernel == 1 and last:
            if image_size is None:
                raise ConversionError(
                    f"the last layer {stage.name} is 1x1, so the file does not tell whether the "
                    f"image is cropped: give the option image_size={size} (not cropped) or "
                    f"image_size={size - 4} (2 pixels off each side, as csinva's MNIST model)"
                )
            strides.append(1)
            paddings.append((size - image_size) // 2)
            possible = range(size, 0, -2)
        else:
            raise ConversionError(
                f"the stride of {stage.name} (kernel {kernel}x{kernel}) is not in the file: give "
                f"the options strides=... and paddings=... with {len(stages)} numbers each, and "
                "output_paddings=... if the network has them; one whose height and width differ "
                "in them (such as Generator_rect) is not read"
            )
    possible = possible or range(size, size + 1)
    if image_size is not None and image_size not in possible:
        sizes = listed([str(side) for side in possible], limit=4)
        raise ConversionError(
            f"image_size={image_size} does not fit: these layers can give {sizes}"
        )
    return tuple(strides), tuple(paddings)


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays, stages, notices = _find(tree)
    geometry = _geometry(stages, options)
    config = DCGANConfig(
        z_dim=stages[0].inputs,
        channels=tuple(s.outputs for s in stages),
        biases=tuple(s.bias for s in stages),
        norms=tuple(s.norm is not None for s in stages),
        activation=options.get("activation", "relu"),
        output_activation=options.get("output_activation", "tanh"),
        norm_epsilon=options.get("norm_epsilon", 1e-5),
        **geometry,
    )
    rules = []
    for i, stage in enumerate(stages):
        target = f"layers/{i}"
        rules.append(Rule(f"{stage.name}.weight", f"{target}/kernel", transposed_conv))
        if stage.bias:
            rules.append(Rule(f"{stage.name}.bias", f"{target}/bias"))
        if stage.norm is not None:
            rules += [
                Rule(f"{stage.norm}.weight", f"{target}/norm/scale"),
                Rule(f"{stage.norm}.bias", f"{target}/norm/bias"),
                Rule(f"{stage.norm}.running_mean", f"{target}/norm/mean"),
                Rule(f"{stage.norm}.running_var", f"{target}/norm/variance", nonnegative=True),
            ]
    counters = [k for k in arrays if k.endswith("num_batches_tracked")]
    notices += [*_order(arrays, stages), *_guesses(config, options)]
    return Recipe(config, rules, arrays, counters, tuple(notices))


def _order(arrays: Arrays, stages: list[_Stage]) -> list[str]:
    """Returns a notice if only names that were sorted as text tell the order of the layers."""
    names = [name for name in arrays if not name.endswith("num_batches_tracked")]
    kinds = {re.sub("[0-9]+", "", stage.name) for stage in stages}
    if len(kinds) == 1 or names != sorted(names):
        return []
    order = listed([stage.name for stage in stages], 6)
    return [f"the layers are taken in the order of their names: {order}"]


def _guesses(config: DCGANConfig, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a notice of what was taken from the usual DCGAN because no file says it."""
    named = {name: ",".join(map(str, getattr(config, name))) for name in ("strides", "paddings")}
    named["activation"] = config.activation
    named["output_activation"] = config.output_activation
    if any(config.norms):
        named["norm_epsilon"] = f"{config.norm_epsilon:g}"
    guessed = [f"{name}={value}" for name, value in named.items() if name not in options]
    return (f"not in the file, taken as usual: {', '.join(guessed)}",) if guessed else ()


FORMAT = Format(
    name="torch-dcgan",
    title="pytorch/examples DCGAN and other plain ConvTranspose2d / BatchNorm2d stacks",
    license="as the checkpoint's author states; the layout itself is free",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "image_size": Option(integer, "side of the images in pixels"),
        "strides": Option(integers, "one number for each layer, e.g. 1,2,2,2"),
        "paddings": Option(integers, "likewise"),
        "output_paddings": Option(integers, "likewise, all 0 if not given"),
        "activation": Option(str, "between the layers, relu if not given"),
        "output_activation": Option(str, "after the last layer, tanh if not given"),
        "norm_epsilon": Option(positive, "of the batch norms, 1e-5 if not given"),
    },
)

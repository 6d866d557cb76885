"""What the files of progressively grown generators have in common: levels of detail, fused layers.

A fused up-sampling convolution, one transposed convolution whose kernel is summed over its four
shifts, equals repeating the pixels and correlating with the kernel flipped; so flipping it is all.
"""

import numpy as np

from converters.arrays import MAX_BLOCKS, Arrays, bounded, counted
from converters.errors import ConversionError
from converters.options import Option
from converters.rules import is_numeric
from converters.stylegan2_nvidia import taps
from jaxlatent.errors import listed
from jaxlatent.generators.progressive import OUTPUTS

FUSED_FROM = 128  # pixels: "auto" fuses the up-sampling convolutions from here on


def flipped_tensorflow_conv(array: np.ndarray) -> np.ndarray:
    """Flips a kernel that is stored as ours are, HWIO."""
    return array[::-1, ::-1]


def resolutions(arrays: Arrays, template: str) -> int:
    """Returns the number of resolutions, each of which has an image layer.

    Raises:
        ConversionError: if there is none, or more than any known network has.
    """
    found = counted(arrays, template.format)
    if not found:
        raise ConversionError(f"the file does not fit the network: missing: {template.format(0)}")
    return bounded(found, MAX_BLOCKS, "resolutions")


def level_of_detail(arrays: Arrays, name: str) -> float:
    """Returns to which level of detail the network had grown; 0, complete, if that is not stored.

    Example:
        >>> level_of_detail({"lod": np.array(0.5, np.float32)}, "lod")
        0.5
    """
    lod = arrays.get(name, np.zeros(()))
    if lod.size != 1 or not is_numeric(lod.dtype):
        raise ConversionError(f"{name} must be one number, got {list(lod.shape)} of {lod.dtype}")
    return float(lod.reshape(())[()])


def growing(level: float) -> tuple[str, ...]:
    """Returns a notice if a network was saved before it had grown to its end.

    Example:
        >>> growing(0.0), len(growing(1.5))
        ((), 1)
    """
    if not level:
        return ()
    return (f"saved while the network grew: images are those of its level of detail {level:g}",)


def blur_taps(arrays: Arrays) -> tuple[float, ...]:
    """Returns the taps of the blur after the up-sampling convolutions, which all must share it."""
    kernels = {name: array for name, array in arrays.items() if name.endswith(".kernel")}
    odd = [k for k, v in kernels.items() if v.ndim < 2 or not v.size or not is_numeric(v.dtype)]
    if odd:
        raise ConversionError(f"no filter of a blur: {listed(odd)}")
    shared = [kernel.reshape(-1, *kernel.shape[-2:])[0] for kernel in kernels.values()][:1]
    if not shared:
        return (0.25, 0.5, 0.25)
    if any(k.shape[-2:] != shared[0].shape or (k != shared[0]).any() for k in kernels.values()):
        raise ConversionError("the blurs of the layers and channels differ; only one is read")
    return taps(shared[0])


def switch(text: str) -> bool:
    """Parses true or false.

    Example:
        >>> switch("true")
        True
    """
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


def _fused_scale(text: str) -> str:
    if text not in ("auto", "true", "false"):
        raise ValueError("expected auto, true or false")
    return text


def _activation(text: str) -> str:
    if text not in OUTPUTS:
        raise ValueError(f"expected {' or '.join(OUTPUTS)}")
    return text


FUSED_SCALE = Option(
    _fused_scale,
    "whether up-sampling convolutions are fused: true, false or, if not given, auto, which fuses "
    f"them from {FUSED_FROM} pixels on",
)
OUTPUT_ACTIVATION = Option(_activation, "of the image: linear, if not given, or tanh")


def is_fused(choice: str, block: int) -> bool:
    """Tells whether the up-sampling convolution of a block, of 4 << block pixels, is fused.

    Example:
        >>> is_fused("auto", 4), is_fused("auto", 5), is_fused("false", 5)
        (False, True, False)
    """
    return choice == "true" or (choice == "auto" and 4 << block >= FUSED_FROM)

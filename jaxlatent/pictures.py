"""Pictures from files into arrays of a generator's size: PNG, JPEG and WebP of any mode."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from jaxlatent.errors import UserError

Fit = Literal["crop", "pad", "stretch"]

_FORMATS = ("PNG", "JPEG", "WEBP")
_DEEP = ("I;16", "I;16B", "I;16L", "I")  # modes of 16 bits


def read_picture(
    path: str | os.PathLike[str], shape: Sequence[int], fit: Fit | None = None
) -> Float[np.ndarray, "h w c"]:
    """Reads a picture, upright as its EXIF says, transparent parts on white.

    Args:
        path: a PNG, JPEG or WebP file.
        shape: height, width and channels (1 or 3) that are wanted.
        fit: how a picture of another size becomes one: "crop" cuts the middle out, "pad" repeats
            the border, both then scale; "stretch" scales. `None` refuses.

    Returns:
        The picture, in [-1, 1].

    Raises:
        UserError: if there is no such picture, or its size is another and `fit` is `None`.
    """
    height, width, channels = shape
    if channels not in (1, 3):
        raise UserError(f"pictures have 1 or 3 channels, not the {channels} of this generator")
    if fit is not None and fit not in get_args(Fit):
        raise UserError(f"fit must be one of {', '.join(get_args(Fit))}, got {fit!r}")
    picture = _upright(path, "L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        if fit is None:
            raise UserError(
                f"{path} is {picture.size[0]}x{picture.size[1]}, the generator's images are "
                f"{width}x{height}: fit crop, pad or stretch says how to change that"
            )
        picture = _fitted(picture, width, height, fit)
    array = np.asarray(picture, np.float32) / 127.5 - 1
    return array.reshape(height, width, channels)


def _upright(path: str | os.PathLike[str], mode: str) -> Image.Image:
    if not Path(path).is_file():
        raise UserError(f"no such file: {path}")
    try:
        with Image.open(path, formats=_FORMATS) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except Exception as error:  # what a damaged file may raise has no end
        reason = str(error) or type(error).__name__
        raise UserError(f"{path} is no PNG, JPEG or WebP picture: {reason}") from None
    if picture.mode in _DEEP:
        deep = np.asarray(picture, np.float64)
        picture = Image.fromarray(np.round(deep.clip(0, 65535) / 257).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(paper, picture)
    return picture.convert(mode)


def _fitted(picture: Image.Image, width: int, height: int, fit: Fit) -> Image.Image:
    if fit == "crop":
        return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    if fit == "pad":
        picture = _padded(picture, width, height)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _padded(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Repeats the border until the sides are in the ratio that is wanted."""
    pixels = np.asarray(picture)
    h, w = pixels.shape[:2]
    more_h = max(0, round(w * height / width) - h)
    more_w = max(0, round(h * width / height) - w)
    pads = [(more // 2, more - more // 2) for more in (more_h, more_w)]
    pads += [(0, 0)] * (pixels.ndim - 2)
    return Image.fromarray(np.pad(pixels, pads, mode="edge"))

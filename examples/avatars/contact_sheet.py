"""Shows the first rendered avatars: `python -m examples.avatars.contact_sheet DATA OUT.png`."""

import argparse
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image

from examples.avatars.data import load

_ROWS, _COLUMNS = 5, 12
_COLOURS = 128  # a palette keeps the file small


def tile(images: UInt8[np.ndarray, "n h w 3"], columns: int) -> Image.Image:
    """Puts images side by side, without gaps; a last row that is not full is left out."""
    rows = len(images) // columns
    cells = images[: rows * columns]
    return Image.fromarray(rearrange(cells, "(r c) h w x -> (r h) (c w) x", c=columns))


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    sheet = tile(load(arguments.data).images[: _ROWS * _COLUMNS], _COLUMNS)
    sheet.quantize(_COLOURS).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()

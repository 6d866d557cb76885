"""Contact sheets: grids of images with labelled rows and columns, as PNG."""

import os
from collections.abc import Sequence

import numpy as np
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from jaxlatent.errors import UserError
from jaxlatent.files import atomic_file

_GAP = 2
_SMALLEST_CELL = 128
_FONT_SIZE = 14
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


def to_uint8(images: Float[np.ndarray, "*n h w c"]) -> UInt8[np.ndarray, "*n h w c"]:
    """Turns images in [-1, 1] into 8-bit ones, clipping what lies outside.

    Example:
        >>> to_uint8(np.array([[[-1.0], [0.0], [7.0]]])).ravel().tolist()
        [0, 128, 255]
    """
    return np.clip(images * 127.5 + 128, 0, 255).astype(np.uint8)


def contact_sheet(
    images: Float[np.ndarray, "rows columns h w c"],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell_labels: Sequence[str] = (),
) -> Image.Image:
    """Lays images out in a grid; small ones are enlarged by a whole factor.

    Args:
        images: in [-1, 1], with 1 or 3 channels.
        row_labels: one for each row, written to its left; or none.
        column_labels: one for each column, written above; or none.
        cell_labels: one for each image in reading order, written below it; or none.

    Raises:
        UserError: if the images have another number of channels, or labels are missing.

    Example:
        >>> contact_sheet(np.zeros((2, 3, 128, 128, 3)), column_labels=["-3", "0", "3"]).size
        (392, 282)
    """
    rows, columns, height, width, channels = images.shape
    if channels not in (1, 3):
        raise UserError(f"a sheet needs 1 or 3 channels, these images have {channels}; use .npy")
    labels = {"row": (row_labels, rows), "column": (column_labels, columns)}
    labels["cell"] = (cell_labels, rows * columns)
    for name, (given, count) in labels.items():
        if len(given) not in (0, count):
            raise UserError(f"{count} {name} labels are needed or none, got {len(given)}")
    factor = -(-_SMALLEST_CELL // min(height, width))
    cell_width, cell_height = width * factor, height * factor
    font = ImageFont.load_default(_FONT_SIZE)
    line = _FONT_SIZE + 6
    left = max((int(font.getlength(t)) + 12 for t in row_labels), default=0)
    top, below = line if column_labels else 0, line if cell_labels else 0
    step_x, step_y = cell_width + _GAP, cell_height + below + _GAP
    size = (left + columns * step_x + _GAP, top + rows * step_y + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    pixels = to_uint8(images)
    for r in range(rows):
        y = top + _GAP + r * step_y
        if row_labels:
            draw.text((6, y + cell_height // 2), row_labels[r], _INK, font, anchor="lm")
        for c in range(columns):
            x = left + _GAP + c * step_x
            cell = Image.fromarray(pixels[r, c].squeeze(-1) if channels == 1 else pixels[r, c])
            cell = cell.convert("RGB").resize((cell_width, cell_height), Image.Resampling.BICUBIC)
            sheet.paste(cell, (x, y))
            if cell_labels:
                text = cell_labels[r * columns + c]
                place = (x + cell_width // 2, y + cell_height + line // 2)
                draw.text(place, text, _INK, font, anchor="mm")
    for c in range(columns if column_labels else 0):
        x = left + _GAP + c * step_x + cell_width // 2
        draw.text((x, line // 2), column_labels[c], _INK, font, anchor="mm")
    return sheet


def grid(
    images: Float[np.ndarray, "n h w c"], labels: Sequence[str] = (), columns: int | None = None
) -> Image.Image:
    """Lays `n` images out in an almost square grid, each with its label below."""
    n = images.shape[0]
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    white = np.ones((rows * columns - n, *images.shape[1:]), images.dtype)
    filled = np.concatenate([images, white])
    texts = [*labels, *[""] * len(white)] if labels else []
    cells = rearrange(filled, "(r c) ... -> r c ...", c=columns)
    return contact_sheet(cells, cell_labels=texts)


def sweep_sheet(
    images: Float[np.ndarray, "n k s h w c"],
    sample_labels: Sequence[str],
    direction_labels: Sequence[str],
    strengths: Sequence[float] | Float[np.ndarray, " s"],
) -> Image.Image:
    """Lays a sweep out: a row for each direction and sample, a column for each strength."""
    cells = rearrange(images, "n k s h w c -> (k n) s h w c")
    rows = [f"{d}, {s}" for d in direction_labels for s in sample_labels]
    return contact_sheet(cells, rows, [f"{value:+.3g}" if value else "0" for value in strengths])


def save_sheet(
    images: Float[np.ndarray, "n k s h w c"],
    path: str | os.PathLike[str],
    sample_labels: Sequence[str] = (),
    direction_labels: Sequence[str] = (),
    strengths: Sequence[float] | Float[np.ndarray, " s"] = (),
) -> None:
    """Writes what `sweep` returned as a labelled contact sheet.

    Args:
        images: in [-1, 1].
        path: a PNG file.
        sample_labels: one for each sample; numbers if none.
        direction_labels: one for each direction; numbers if none.
        strengths: those of the sweep; numbers if none.

    Raises:
        UserError: if the file cannot be written.
    """
    n, k, s = images.shape[:3]
    with atomic_file(path) as temporary:
        sweep_sheet(
            images,
            sample_labels or [f"sample {i}" for i in range(n)],
            direction_labels or [f"direction {i}" for i in range(k)],
            strengths if len(strengths) else np.arange(float(s)),
        ).save(temporary, format="PNG")

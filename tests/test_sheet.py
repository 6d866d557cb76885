"""Contact sheets put the right pixels and labels in the right places."""

import numpy as np
import pytest
from PIL import Image

from jaxlatent import UserError, save_sheet
from jaxlatent.sheet import contact_sheet, grid, sweep_sheet, to_uint8


def flat_images(*shape, channels=3):
    """Images of one colour each, all different."""
    count = int(np.prod(shape))
    levels = np.linspace(-0.9, 0.9, count).reshape(*shape, 1, 1, 1)
    return np.broadcast_to(levels, (*shape, 128, 128, channels)).astype(np.float32)


def cells(sheet, rows, columns, left, top, below=0):
    y = top + 66 + np.arange(rows) * (130 + below)
    x = left + 66 + np.arange(columns) * 130
    return np.asarray(sheet)[y[:, None], x[None], 0]


def test_cells_are_in_reading_order():
    images = flat_images(2, 3)
    sheet = contact_sheet(images)
    assert sheet.size == (3 * 130 + 2, 2 * 130 + 2)
    np.testing.assert_array_equal(cells(sheet, 2, 3, 0, 0), to_uint8(images)[..., 64, 64, 0])


def test_labels_are_drawn_beside_the_images():
    images = flat_images(2, 3)
    sheet = contact_sheet(images, ["first", "second"], ["a", "b", "c"], list("123456"))
    assert sheet.width > 3 * 130 + 2
    left, top = sheet.width - (3 * 130 + 2), 20
    np.testing.assert_array_equal(
        cells(sheet, 2, 3, left, top, below=20), to_uint8(images)[..., 64, 64, 0]
    )
    pixels = np.asarray(sheet)
    assert (pixels[:top].min(axis=(0, 2)) < 100).any(), "column labels"
    assert (pixels[top:, : left - 2].min(axis=(1, 2)) < 100).any(), "row labels"


def test_small_and_gray_images_are_enlarged():
    assert contact_sheet(np.zeros((1, 1, 28, 28, 1), np.float32)).size == (144, 144)
    assert contact_sheet(np.zeros((1, 1, 200, 256, 3), np.float32)).size == (260, 204)


def test_grids_fill_up_with_white():
    sheet = grid(flat_images(5), [str(i) for i in range(5)])
    assert np.asarray(sheet)[-40, -40].tolist() == [255, 255, 255]


def test_sweeps_have_a_row_for_each_direction_and_sample(tmp_path):
    images = flat_images(2, 3, 4)
    sheet = sweep_sheet(images, ["s0", "s1"], ["d0", "d1", "d2"], [-1.0, 0.0, 1.0, 2.0])
    left = sheet.width - (4 * 130 + 2)
    expected = to_uint8(images)[..., 64, 64, 0].transpose(1, 0, 2).reshape(6, 4)
    np.testing.assert_array_equal(cells(sheet, 6, 4, left, 20), expected)
    save_sheet(images, tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as saved:
        assert saved.format == "PNG"


def test_mistakes(tmp_path):
    with pytest.raises(UserError, match="2 row labels are needed or none, got 1"):
        contact_sheet(flat_images(2, 3), ["one"])
    with pytest.raises(UserError, match="1 or 3 channels"):
        contact_sheet(flat_images(1, 1, channels=2))
    with pytest.raises(UserError, match="cannot write"):
        save_sheet(flat_images(1, 1, 1), tmp_path / "none" / "s.png")

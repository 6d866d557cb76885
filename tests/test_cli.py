"""The command line end to end: what it writes, what it says, what it refuses."""

import os
import pickle
import subprocess
import sys

import forge
import numpy as np
import pytest
from PIL import Image

import jaxlatent
from benchmarks.parity.goldens import OWN
from jaxlatent.cli import main
from jaxlatent.keys import seed_keys

STYLEGAN2 = OWN / "rosinality_res32" / "checkpoint.pt"
MNIST = OWN / "dcgan_mnist28" / "netG_epoch_99.pth"
INFOGAN = OWN / "infogan_mnist" / "model_final_MNIST"
CONDITIONAL = OWN / "ada_res64_cond10" / "checkpoint.pkl"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    assert main(["convert", str(STYLEGAN2), str(folder / "stylegan2")]) == 0
    options = ["--option", "image_size=28"]
    assert main(["convert", str(MNIST), str(folder / "mnist"), *options]) == 0
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, models):
    """Runs a command in an empty folder; returns status, output and error output."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main([str(a).replace("MODELS", str(models)) for a in arguments])
        return status, *capsys.readouterr()

    return call


def size_of(path):
    with Image.open(path) as image:
        return image.size


def refused(result, message):
    status, _, error = result
    assert status == 2
    assert error.startswith("jaxlatent: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_convert_tells_what_it_made_and_what_it_guessed(run, tmp_path):
    status, out, _ = run("convert", STYLEGAN2, "model")
    assert status == 0
    assert "note: mapping_lr_multiplier is not in the file" in out
    assert "model: stylegan2, 32x32, 3 channels, from rosinality-stylegan2" in out
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["config.json", "parameters"]


def test_guesses_about_a_checkpoint_are_told_by_every_command(run):
    status, _, error = run("info", STYLEGAN2)
    assert status == 0
    assert "jaxlatent: warning:" in error
    assert "checkpoint.pt: mapping_lr_multiplier is not in the file" in error


def test_options_that_a_checkpoint_needs_are_told_where_to_give(run):
    command = f"jaxlatent convert {MNIST} OUT --option NAME=VALUE"
    refused(run("generate", MNIST, "-o", "a.png"), command)
    assert command not in run("convert", MNIST, "m")[2]


def test_the_codes_of_an_infogan_are_directions(run):
    status, out, _ = run("find", "infogan", INFOGAN, "-o", "codes.safetensors")
    assert status == 0
    assert "continuous 0" in out
    found = jaxlatent.Directions.load("codes.safetensors")
    assert f"codes.safetensors: {len(found.names)} directions in z" in out
    refused(run("find", "infogan", "MODELS/mnist", "-o", "c.safetensors"), "of the family dcgan")


def test_formats_lists_every_format_and_option(run):
    from converters import FORMATS

    status, out, _ = run("formats")
    assert status == 0
    for known in FORMATS.values():
        assert f"\n{known.name}\n" in f"\n{out}"
        assert known.title in out
        assert all(f"--option {name}=" in out for name in known.options)


def test_info(run):
    status, out, _ = run("info", "MODELS/stylegan2")
    assert status == 0
    for text in ("stylegan2", "z [1, 64], w [1, 64], w+ [8, 64]", "32x32", "sha256", "conv_clamp"):
        assert text in out
    assert run("info", STYLEGAN2)[0] == 0


def test_generate_writes_the_library_s_images(run, models):
    assert run("generate", "MODELS/stylegan2", "--seeds", "3,5-6", "-o", "a.npy")[0] == 0
    generator = jaxlatent.load(models / "stylegan2")
    z = generator.sample_z(seed_keys([3, 5, 6]), 3)
    expected = jaxlatent.render(generator, generator.broadcast(generator.map(z)))
    images = np.load("a.npy")
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_generate_from_codes_of_every_space(run, models):
    generator = jaxlatent.load(models / "stylegan2")
    z = generator.sample_z(seed_keys(range(2)), 2)
    w = generator.map(z)
    codes = generator.truncate(generator.broadcast(w), 0.5, 3)
    expected = jaxlatent.render(generator, codes)
    for space, array in {"z": z, "w": w, "w+": generator.broadcast(w)}.items():
        np.save("codes.npy", array)
        flags = ("--codes", "codes.npy", "--space", space, "--psi", 0.5, "--cutoff", 3)
        assert run("generate", "MODELS/stylegan2", *flags, "-o", "a.npy")[0] == 0
        np.testing.assert_allclose(np.load("a.npy"), expected, atol=1e-4)


def test_images_that_are_not_finite_are_not_written(run, tmp_path):
    np.save("codes.npy", np.full((2, 64), 1e38))
    flags = ("--codes", "codes.npy", "--space", "w", "-o", "a.png")
    refused(run("generate", "MODELS/stylegan2", *flags), "some images are not finite")
    assert [p.name for p in tmp_path.iterdir()] == ["codes.npy"]


def test_generate_writes_a_sheet(run):
    status, out, _ = run("generate", "MODELS/mnist", "--seeds", "0-3", "-o", "a.png")
    assert (status, "4 images of 28x28" in out) == (0, True)
    assert size_of("a.png") == (2 * 142 + 2, 2 * 162 + 2)


def test_conditional_generators_take_labels(run):
    np.save("l.npy", np.array([3, 3]))
    for label in ("3", "l.npy"):
        flags = ("--seeds", "0-1", "--label", label, "--noise", "none", "-o", f"{label}.npy")
        assert run("generate", CONDITIONAL, *flags)[0] == 0
    np.testing.assert_array_equal(np.load("3.npy"), np.load("l.npy.npy"))
    refused(run("generate", CONDITIONAL, "-o", "a.npy"), "give --label 0 to 9")
    refused(run("generate", CONDITIONAL, "--label", "10", "-o", "a.npy"), "0 to 9")
    np.save("w.npy", np.zeros((2, 64)))
    flags = ("--codes", "w.npy", "--space", "w", "-o", "a.npy")
    assert run("generate", CONDITIONAL, *flags)[0] == 0, "a label is read on the way from z only"


def test_random_noise_belongs_to_the_seed(run):
    for seeds in ("4-6", "5"):
        flags = ("--seeds", seeds, "--noise", "random", "-o", f"{seeds}.npy")
        assert run("generate", "MODELS/stylegan2", *flags)[0] == 0
    np.testing.assert_allclose(np.load("4-6.npy")[1], np.load("5.npy")[0], atol=1e-4)


def test_find_and_sweep(run, models):
    flags = ("-k", 4, "--layers", "0-3", "-o", "d.safetensors")
    status, out, _ = run("find", "sefa", "MODELS/stylegan2", *flags)
    assert (status, "4 directions in w" in out, "eigenvalues: " in out) == (0, True, True)
    directions = jaxlatent.Directions.load("d.safetensors")
    assert directions.layers == (0, 1, 2, 3)
    flags = ("--index", "1-2", "--seeds", "7", "--strengths=-1:1:3", "--psi", 0.7)
    assert run("sweep", "MODELS/stylegan2", "d.safetensors", *flags, "-o", "s.npy")[0] == 0
    images = np.load("s.npy")
    assert images.shape == (1, 2, 3, 32, 32, 3)
    generator = jaxlatent.load(models / "stylegan2")
    codes = generator.broadcast(generator.map(generator.sample_z(seed_keys([7]), 1)))
    moved = jaxlatent.edit(generator, codes, jaxlatent.Edit(directions[2], [1.0]), psi=0.7)
    np.testing.assert_allclose(images[0, 1, 2], jaxlatent.render(generator, moved)[0], atol=1e-4)
    assert run("sweep", "MODELS/stylegan2", "d.safetensors", "--layers", "2", "-o", "s.png")[0] == 0
    assert size_of("s.png")[1] > 4 * 4 * 130


def test_per_layer_directions(run):
    flags = ("--per-layer", "-k", 2, "-o", "d.safetensors")
    assert run("find", "sefa", "MODELS/stylegan2", *flags)[0] == 0
    assert jaxlatent.Directions.load("d.safetensors").vectors.shape == (2, 8, 64)


def test_boundaries_from_other_projects(run):
    np.save("smile.npy", np.random.RandomState(0).standard_normal((1, 64)))
    flags = ("--seeds", "0", "--mode", "absolute", "-o", "s.npy")
    refused(run("sweep", "MODELS/stylegan2", "smile.npy", *flags), "give --space z, w or w+")
    for space in ("z", "w"):
        result = run("sweep", "MODELS/stylegan2", "smile.npy", *flags, "--space", space)
        assert result[0] == 0
        assert np.load("s.npy").shape == (1, 1, 7, 32, 32, 3)


def test_directions_of_other_weights_warn_in_one_line(run):
    assert run("find", "sefa", "MODELS/mnist", "-o", "d.safetensors")[0] == 0
    refused(run("sweep", "MODELS/stylegan2", "d.safetensors", "-o", "s.png"), "width 100")
    assert run("convert", OWN / "dcgan_64" / "netG_epoch_24.pth", "other")[0] == 0
    flags = ("--seeds", "0", "--index", "0", "-o", "s.npy")
    status, _, error = run("sweep", "other", "d.safetensors", *flags)
    assert status == 0
    assert error.startswith("jaxlatent: warning: these directions were found in a generator")
    assert error.count("\n") == 1


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


def archive(state):
    return forge.torch_zip(*forge.state_dict(state))


def bad_files(folder):
    good = MNIST.read_bytes()
    nan = {"a.weight": np.full((3, 4, 4, 4), np.nan, np.float32)}
    nan["b.weight"] = np.ones((4, 3, 4, 4), np.float32)
    contents = {
        "empty": (b"", "is empty"),
        "truncated": (good[: len(good) // 2], "truncated"),
        "random": (np.random.RandomState(0).bytes(5000), "not a checkpoint"),
        "evil": (pickle.dumps({"a": Evil()}), "posix.system"),
        "wrong family": (
            forge.torch_zip(*forge.state_dict({"fc": np.ones(3)})),
            "no known network",
        ),
        "nan": (forge.torch_zip(*forge.state_dict(nan)), "not finite (NaN or infinity): a.weight"),
    }
    for name, (content, message) in contents.items():
        (folder / name).write_bytes(content)
        yield name, message


def test_bad_checkpoints_are_one_line_and_leave_nothing(run, tmp_path):
    for name, message in bad_files(tmp_path):
        refused(run("convert", name, "model"), message)
        refused(run("generate", name, "-o", "a.png"), message)
        refused(run("info", name), message)
    refused(run("convert", "none.pt", "model"), "no such file: none.pt")
    refused(run("convert", tmp_path, "model"), "is a folder without")
    refused(run("convert", MNIST, "model"), "image_size=28")
    refused(run("convert", MNIST, "model", "--option", "image_size"), "KEY=VALUE")
    refused(run("convert", MNIST, "model", "--option", "size=28"), "unknown option 'size'")
    refused(run("convert", MNIST, "model", "--format", "x"), "formats read")
    for value in ("nan", "-5", "inf"):
        option = f"norm_epsilon={value}"
        refused(run("convert", MNIST, "model", "--option", option), "norm_epsilon")
    left = {"empty", "truncated", "random", "evil", "wrong family", "nan"}
    assert {p.name for p in tmp_path.iterdir()} == left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "MODELS/mnist"], "Missing option '-o'"),
        (["generate", "MODELS/mnist", "-o", "a.jpg"], "must end in .png or .npy"),
        (["generate", "MODELS/mnist", "-o", "none/a.png"], "there is no folder"),
        (["generate", "MODELS/mnist", "-o", "/proc/a.png"], "cannot write /proc/a.png"),
        (["generate", "MODELS/mnist", "--seeds", "x", "-o", "a.png"], "seeds: 'x'"),
        (["generate", "MODELS/mnist", "--seeds", "", "-o", "a.png"], "seeds: ''"),
        (["generate", "MODELS/mnist", "--psi", "nan", "-o", "a.png"], "--psi must be a finite"),
        (["generate", "MODELS/mnist", "--psi", "1e300", "-o", "a.png"], "--psi must be a finite"),
        (["generate", "MODELS/mnist", "--psi", "x", "-o", "a.png"], "'x' is not a valid float"),
        (["generate", "MODELS/mnist", "--cutoff", "2", "-o", "a.png"], "--cutoff goes with --psi"),
        (["generate", "MODELS/stylegan2", "--psi", "1", "--cutoff", "99", "-o", "a.png"], "0, 8"),
        (["generate", "MODELS/mnist", "--label", "1", "-o", "a.png"], "not conditional"),
        (["generate", "MODELS/mnist", "--codes", "c.npy", "-o", "a.png"], "go together"),
        (["generate", "MODELS/mnist", "--codes", "c", "--space", "z", "-o", "a.png"], "no such"),
        (["generate", "MODELS/mnist", "--codes", "c", "--seeds", "1", "-o", "a.png"], "not both"),
        (["generate", "none", "-o", "a.png"], "no such file or folder: none"),
        (["find", "sefa", "MODELS/mnist", "-k", "101", "-o", "d.safetensors"], "1 to 100, got 101"),
        (["find", "sefa", "MODELS/mnist", "-k", "101", "-o", "d.safetensors"], "1 to 100"),
        (["find", "sefa", "MODELS/mnist", "--layers", "1", "-o", "d.safetensors"], "in 0 to 0"),
        (["find", "sefa", "MODELS/mnist", "-o", "d.npz"], "must end in .safetensors"),
        (["find", "nothing"], "No such command 'nothing'"),
        (["sweep", "MODELS/mnist", "none.safetensors", "-o", "s.png"], "no such file"),
        (["sweep", "MODELS/mnist", "d", "--strengths", "1:2", "-o", "s.png"], "strengths: '1:2'"),
        (["sweep", "MODELS/mnist", "d", "--mode", "up", "-o", "s.png"], "'up' is not one of"),
        (["demo", "--checkpoint", "none.pt", "-o", "demo"], "no such file: none.pt"),
        (["frobnicate"], "No such command"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(run, tmp_path, arguments, message):
    refused(run(*arguments), message)
    assert list(tmp_path.iterdir()) == []


def test_sweep_mistakes_that_need_directions(run, tmp_path):
    assert run("find", "sefa", "MODELS/mnist", "-k", 3, "-o", "d.safetensors")[0] == 0
    sweep = ("sweep", "MODELS/mnist", "d.safetensors", "-o", "s.png")
    refused(run(*sweep, "--index", "3"), "index must be in 0 to 2")
    refused(run(*sweep, "--layers", "1"), "layers must be in 0 to 0")
    refused(run(*sweep, "--cutoff", "1"), "cutoff goes with psi")
    refused(run(*sweep, "--index", ""), "index: ''")
    refused(run(*sweep, "--space", "z"), "--space is for .npy boundaries")
    assert [p.name for p in tmp_path.iterdir()] == ["d.safetensors"]


def test_a_terminated_run_leaves_nothing(tmp_path, models):
    """SIGTERM arrives when the temporary file is there and the work has begun."""
    code = f"""
import os, signal, sys
import jaxlatent.sweeps
from jaxlatent.__main__ import run

def work(*_, **__):
    assert len(os.listdir()) == 1
    os.kill(os.getpid(), signal.SIGTERM)

jaxlatent.sweeps.render = work
sys.argv = ["jaxlatent", "generate", {str(models / "mnist")!r}, "-o", "a.png"]
run()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr.strip()) == (130, "jaxlatent: interrupted")
    assert list(tmp_path.iterdir()) == []


def test_output_is_not_overwritten_by_a_failure(run, tmp_path):
    (tmp_path / "a.png").write_text("precious")
    refused(run("generate", "none", "-o", "a.png"), "no such file")
    assert (tmp_path / "a.png").read_text() == "precious"


def test_help_has_examples_and_is_quick(run):
    for command in (
        [],
        ["convert"],
        ["formats"],
        ["info"],
        ["generate"],
        ["find"],
        ["find", "sefa"],
        ["sweep"],
    ):
        status, out, _ = run(*command, "--help")
        assert (status, "Usage:" in out) == (0, True)
        assert "Examples:" in out or command == ["find"]
    assert run()[0] == 0
    assert run("--version")[1].strip().endswith(jaxlatent.__version__)
    code = "import sys, jaxlatent.cli; print('jax' in sys.modules, 'torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "False"]


def test_conversion_needs_no_torch(tmp_path):
    """In a fresh interpreter in which importing torch fails."""
    code = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is not here")

sys.meta_path.insert(0, NoTorch())
from jaxlatent.cli import main

status = main(["convert", sys.argv[1], "m"])
status += main(["generate", "m", "--seeds", "0", "--label", "1", "-o", "a.png"])
sys.exit(status)
"""
    subprocess.run([sys.executable, "-c", code, CONDITIONAL], cwd=tmp_path, check=True)
    assert (tmp_path / "a.png").is_file()

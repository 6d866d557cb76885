"""Every finder by its command: the file it writes, what it says, and what it refuses."""

import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled
from PIL import Image

import jaxlatent
from benchmarks.parity.goldens import OWN
from jaxlatent import Directions, arguments, find, scorers
from jaxlatent.cli import finders, main
from jaxlatent.cli.finders.gradient import TRANSFORMS
from jaxlatent.cli.finders.scores import STATISTICS
from jaxlatent.find import NonlinearWalk
from jaxlatent.find.linear_map import LinearMaps
from jaxlatent.generators import DCGANConfig, StyleGAN2Config, StyleSpace
from jaxlatent.keys import seed_keys

DCGAN, STYLEGAN = "dcgan", "stylegan2"
CONFIGS = {
    DCGAN: DCGANConfig(6, (4, 3), (4, 4), (1, 2), (0, 1), (0, 0), (True, True), (False, False)),
    STYLEGAN: StyleGAN2Config((4, 3), z_dim=6, w_dim=5, mapping_widths=(5,)),
}
TESTED = {"sefa", "infogan_codes", "ganspace", "ganspace_activations", "boundary", "linear_map"}
SLOW = {"voynov"} | TESTED  # which CI runs: it compiles for long; those have tests elsewhere, too

# what is called: model, command and options, what is told, what the directions must be
CASES = {
    "sefa": (STYLEGAN, "sefa -k 2", "eigenvalues: ", {"space": "w"}),
    "infogan_codes": (OWN / "infogan_mnist" / "model_final_MNIST", "infogan", "continuous 0", {}),
    "ganspace": (STYLEGAN, "ganspace -k 2 -n 40", "shares of the variance: 0.", {"space": "w"}),
    "ganspace_activations": (
        DCGAN, "ganspace -k 2 -n 40 --block 0", "shares of the variance: 0.", {"space": "z"},
    ),
    "ica": (DCGAN, "ica -k 2 -n 200 --seed 1", "variances: ", {"method": "ica"}),
    "sparse_pca": (
        DCGAN, "sparse-pca -k 2 -n 40 --alpha 0.01 --max-iter 99", "variances: ",
        {"parameters": {"alpha": 0.01, "max_iter": 99}},
    ),
    "random_directions": (DCGAN, "random -k 2 -n 40", "variances: ", {"method": "random"}),
    "voynov": (
        DCGAN,
        "voynov -k 2 -n 4 --steps 3 --batch 2 --reach 3 --least 1 --deformator projected",
        "by chance 50.0%",
        {"parameters": {"reach": 3, "least": 1, "steps": 3, "batch": 2,
                        "deformator": "projected"}},
    ),
    "boundary": (DCGAN, "boundary --attribute brightness -n 40 --ratio 0.3", "% of all", {}),
    "linear_map": (DCGAN, "linear --attribute brightness -n 40", "% of its variance", {}),
    "difference_of_means": (
        DCGAN, "means --attribute brightness -n 40", "20 of 40 samples above",
        {"names": ("brightness",)},
    ),
    "stylespace": (
        STYLEGAN, "stylespace --positive 3,7-9 -k 2 -n 40", "relevance ",
        {"space": "s", "parameters": {"k": 2, "examples": 4, "population": 40}},
    ),
    "few_shot": (
        STYLEGAN, "few-shot --positive 3,7-9 --negative 1,2 -n 40 --name smile",
        "means of 4 and 2 samples, ",
        {"names": ("smile",), "parameters": {"positive": 4, "negative": 2, "population": 40}},
    ),
    "vector_arithmetic": (
        DCGAN, "few-shot --positive 3 --negative 1 --plain", "means of 1 and 1 samples, ",
        {"method": "vector_arithmetic"},
    ),
    "local_directions": (
        STYLEGAN, "local --seeds 3,7 -k 2 --layers 1-2 --per-layer",
        "mean squared changes of a pixel: ",
        {"space": "w+", "layers": (1, 2), "parameters": {"codes": 2, "shared": False}},
    ),
    "resefa": (
        DCGAN, "resefa --region 0:4,2:7 -k 2 --ridge 0.1", "times as much as the rest",
        {"parameters": {"ridge": 0.1, "codes": 1}},
    ),
    "lowrankgan": (
        DCGAN, "lowrankgan --region 0:4,2:7 -k 1 --sparsity inf --tolerance 0.3",
        "mean squared changes of the region's pixels: ", {"parameters": {"tolerance": 0.3}},
    ),
    "ganalyze": (
        DCGAN, "ganalyze --attribute contrast -n 4 --steps 3 --batch 2 --reach 0.2",
        "contrast: grows by ",
        {"names": ("contrast",), "parameters": {"reach": 0.2, "keep_norm": True}},
    ),
    "scorer_gradients": (
        STYLEGAN, "gradients --attribute warmth --attribute brightness -n 4 --layers 0",
        "warmth: grows by ", {"layers": (0,), "space": "w"},
    ),
    "steerability": (
        DCGAN,
        "steer --transform shift-down -n 4 --steps 3 --batch 2 --learning-rate 0.1",
        "of the way to the transformed images", {"parameters": {"learning_rate": 0.1}},
    ),
}  # fmt: skip
ELSEWHERE = {"condition": "`directions condition`"}
WITHOUT = {
    "linear_map_sweep": "returns many maps, to be compared before one is chosen",
    "nonlinear_steerability": "returns a walk, which is no straight direction to be kept in a file",
    "stylespace_by_effect": "reads the effects of thousands of channels, measured by many renders",
    "styleclip": "reads those, too, and a model of texts",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, config in CONFIGS.items():
        jaxlatent.save(filled(config), folder / name)
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, models):
    """Runs a command in an empty folder; returns status, output and error output."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = main([str(models / w if w in (DCGAN, STYLEGAN) else w) for w in words])
        return status, *capsys.readouterr()

    return call


def refused(result, message):
    status, _, error = result
    assert status == 2
    assert error.startswith("jaxlatent: error: ")
    assert error.count("\n") == 1
    assert message in error


@functools.cache
def viewed(model, styles):
    generator = jaxlatent.load(model)
    return StyleSpace(generator) if styles else generator


def test_every_finder_has_a_command_or_a_reason_why_not():
    kinds = (Directions, LinearMaps, NonlinearWalk)
    functions = {n: getattr(find, n) for n in find.__all__ if callable(getattr(find, n))}
    hints = {n: getattr(f, "__annotations__", {}).get("return") for n, f in functions.items()}
    found = {n for n, kind in hints.items() if kind in kinds}
    assert found == CASES.keys() | ELSEWHERE.keys() | WITHOUT.keys()
    called = {options.split()[0] for _, options, *_ in CASES.values()}
    assert called == finders.find.commands.keys(), "and every command is tried below"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in CASES]
)
def test_a_command_finds_writes_and_tells(name, run, models, monkeypatch):
    model, options, told, expected = CASES[name]
    real, calls = getattr(find, name), []
    monkeypatch.setattr(find, name, lambda *a, **k: calls.append(1) or real(*a, **k))
    method, *flags = options.split()
    status, out, error = run("find", method, model, *flags, "-o", "d.safetensors")
    assert (status, error) == (0, "")
    assert calls == [1], "it is this finder that runs"
    assert told in out
    found = Directions.load("d.safetensors")
    plural = "s" * (len(found) != 1)
    assert out.startswith(f"d.safetensors: {len(found)} direction{plural} in {found.space}\n")
    for field, value in expected.items():
        if field == "parameters":
            assert {key: found.parameters[key] for key in value} == value
        else:
            assert getattr(found, field) == value
    view = viewed(models / model, found.space == "s")
    codes = jnp.ones((1, view.num_layers, view.code_dim))
    moved = jaxlatent.edit(view, codes, jaxlatent.Edit(found[0], [1.0]))
    length = float(jnp.linalg.norm(moved - codes))
    shared = len(found.layers) or view.num_layers if found.vectors.shape[1] == 1 else 1
    np.testing.assert_allclose(length, float(found.scale[0]) * shared**0.5, rtol=1e-3)
    assert Path("d.safetensors").is_file()
    assert [p.name for p in Path().iterdir()] == ["d.safetensors"]
    status, out, error = run("directions", "show", "d.safetensors")
    assert (status, error) == (0, "")
    shown = "score" if np.any(found.scores) else "unit"
    assert f"   0  {found.names[0]}: {shown} " in out
    status, out, error = run("directions", "compare", "d.safetensors", "d.safetensors")
    assert (status, error) == (0, "")
    assert f"+1.000  {found.names[0]}  ~  {found.names[0]}" in out


def test_the_names_of_options_are_those_of_the_library():
    assert {name.replace("-", " ") for name in TRANSFORMS} == find.TRANSFORMS.keys()
    assert all(hasattr(scorers, name) for name in STATISTICS)


def test_directions_of_styles_are_swept_as_any_others(run):
    flags = ("--attribute", "contrast", "-n", 40, "--best", 5, "-k", 1, "-o", "s.safetensors")
    assert run("find", "stylespace", STYLEGAN, *flags)[0] == 0
    assert Directions.load("s.safetensors").parameters["examples"] == 5
    flags = ("--seeds", 7, "--strengths=0,9", "-o", "s.npy")
    assert run("sweep", STYLEGAN, "s.safetensors", *flags)[0] == 0
    assert run("generate", STYLEGAN, "--seeds", 7, "-o", "g.npy")[0] == 0
    images = np.load("s.npy")[0, 0]
    np.testing.assert_allclose(images[0], np.load("g.npy")[0], atol=1e-4)
    assert np.abs(images[1] - images[0]).max() > 1e-3


def test_only_a_stylegan_has_styles(run, lenient):
    np.save("s.npy", np.zeros(20))
    flags = ("--positive", "1,2", "-o", "s.safetensors")
    refused(run("find", "stylespace", DCGAN, *flags), "only a StyleGAN has styles, not a DCGAN")
    axes = Directions.of(np.eye(6, dtype=np.float32)[:, None], space="s")
    axes.save("s.safetensors")
    refused(run("sweep", DCGAN, "s.safetensors", "-o", "s.npy"), "only a StyleGAN has styles")


def test_channels_are_ranked_for_one_attribute(run):
    np.save("s.npy", np.zeros((20, 2)))
    flags = ("--scores", "s.npy", "-o", "d.safetensors")
    refused(run("find", "stylespace", STYLEGAN, *flags), "s.npy has 2 columns; channels are")
    np.save("s.npy", np.zeros(20))
    refused(run("find", "stylespace", STYLEGAN, *flags), "--best 20 of 20 samples leaves no others")


def test_means_part_labels_in_the_middle_and_scores_at_the_median(run, models):
    z = np.asarray(jaxlatent.load(models / DCGAN).sample_z(seed_keys(range(60)), 60))
    np.save("s.npy", np.stack([z[:, 2], z[:, 4] > -1], axis=1))
    flags = ("--scores", "s.npy", "--names", "smile,sex")
    status, out, _ = run("find", "means", DCGAN, *flags, "-o", "m.safetensors")
    assert status == 0
    assert "smile: 30 of 60 samples above" in out
    assert f"sex: {(z[:, 4] > -1).sum()} of 60 samples above 0.5; means" in out
    found = Directions.load("m.safetensors")
    positive = np.stack([z[:, 2] > np.median(z[:, 2]), z[:, 4] > -1], axis=1)
    expected = find.difference_of_means(z, positive, ["smile", "sex"])
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)
    assert run("find", "means", DCGAN, *flags, "--threshold", 0.9, "-o", "n.safetensors")[0] == 0
    assert Directions.load("n.safetensors").parameters["threshold"] == {"smile": 0.9, "sex": 0.9}
    refused(
        run("find", "means", DCGAN, *flags, "--threshold", 1, "-o", "m.safetensors"),
        "all scores are on one side of 1 for sex; give a --threshold",
    )


def test_a_region_is_a_box_or_a_mask(run):
    assert arguments.region("0:4,2:7") == ((0, 4), (2, 7))
    mask = np.zeros((8, 8), np.uint8)
    mask[0:4, 2:7] = 255
    Image.fromarray(mask).save("mask.png")
    np.testing.assert_array_equal(arguments.region("mask.png"), mask > 0)
    for number, region in enumerate(("0:4,2:7", "mask.png")):
        flags = ("--region", region, "-k", 1, "-o", f"{number}.safetensors")
        assert run("find", "resefa", DCGAN, *flags)[0] == 0
    one, two = (Directions.load(f"{number}.safetensors") for number in (0, 1))
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_directions_are_conditioned_on_others(run):
    rows = np.array([[1.0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    faces = Directions.of(rows[:, None], names=["age", "sex", "a, b"], space="z")
    faces.save("f.safetensors")
    faces[1].save("other.safetensors")
    condition = ("directions", "condition", "f.safetensors")
    status, out, _ = run(*condition, "--name", "age", "--on", "sex", "-o", "c.safetensors")
    assert status == 0
    assert out == (
        "c.safetensors: 1 direction in z\n  age given sex: cosine 0.707 to what it was\n"
    )
    np.testing.assert_allclose(Directions.load("c.safetensors").vectors[0, 0], np.eye(6)[0])
    assert run(*condition, "--on", "a, b", "-o", "c.safetensors")[0] == 0
    names = Directions.load("c.safetensors").names
    assert names == ("age given a, b", "sex given a, b"), "all the others, if none is named"
    flags = ("--name", "age", "--on", "other.safetensors", "-o", "c.safetensors")
    assert run(*condition, *flags)[0] == 0
    refused(run(*condition, "--on", "smile", "-o", "c.safetensors"), "no direction 'smile'")
    refused(run(*condition, "--on", "x.safetensors", "-o", "c.safetensors"), "no such file")
    refused(run(*condition, "--on", "age", "-o", "c.npy"), "must end in .safetensors")
    refused(run(*condition, *flags[2:], "--name", "sex"), "nothing is left of sex")
    only = ("directions", "condition", "other.safetensors", "--on", "sex")
    refused(run(*only, "-o", "c.safetensors"), "none is left to change")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("means", "give either --attribute or --scores"),
        ("means --scores s.npy --names a,b", "1 columns, --names has 2 names"),
        ("means --scores s.npy -n 7", "scores 20 samples, -n asks for 7"),
        ("boundary --attribute warmth -n 0", "0 is not in the range x>=2"),
        ("stylespace -k 1", "give one of --positive SEEDS, --attribute and --scores"),
        ("stylespace --positive 1,2 --scores s.npy", "give one of --positive SEEDS"),
        ("stylespace --attribute warmth --scores s.npy", "give either --attribute or --scores"),
        ("few-shot --positive 1", "Missing option '--negative'"),
        ("few-shot --positive 1-3 --negative 2,3", "positive and negative share the seeds 2, 3"),
        ("few-shot --positive x --negative 2", "positive: 'x' is no list like 0-3,7"),
        ("few-shot --positive 1 --negative 2 --space w", "space must be z"),
        ("few-shot --positive 1 --negative 2 --label 3", "not conditional; give no --label"),
        ("ica -k 9 -n 20", "k must be in 1 to 6, got 9"),
        ("ica -n 100 -k 6 --max-iter 1", "raise max_iter or lower k"),
        ("sparse-pca --alpha=-1", "-1.0 is not in the range x>=0"),
        ("sparse-pca -k 2 -n 20 --alpha 1e9", "lower alpha"),
        ("random -k 0 -n 20", "0 is not in the range x>=1"),
        ("random --seed=-1", "-1 is not in the range"),
        ("voynov --steps 0", "0 is not in the range x>=1"),
        ("voynov --learning-rate 0", "0.0 is not in the range 0<x<=1"),
        ("voynov -k 2 --reach 0.1 -n 4", "shifts must be in 0 <= least < reach"),
        ("voynov --deformator free", "'free' is not one of"),
        ("local --seeds 1- -k 1", "seeds: '1-' is no list like 0-3,7"),
        ("local -k 9", "k must be in 1 to 6, got 9"),
        ("local -k 1 --layers 1", "layers must be in 0 to 0, got 1"),
        ("local -k 1 --label 1", "not conditional; give no --label"),
        ("resefa -k 1", "Missing option '--region'"),
        ("resefa -k 1 --region 4:2,0:3", "4:2,0:3 has no pixels in it"),
        ("resefa -k 1 --region 0:4,0:9", "in an image of 8 by 8 pixels"),
        ("resefa -k 1 --region 0:4", "'0:4' is neither TOP:BOTTOM,LEFT:RIGHT nor an image file"),
        ("resefa -k 1 --region s.npy", "s.npy is no image"),
        ("resefa -k 1 --region 0:4,0:4 --ridge 0", "0.0 is not in the range x>0"),
        ("lowrankgan -k 1 --region 0:4,0:4 --sparsity 0", "0.0 is not in the range x>0"),
        ("lowrankgan -k 1 --region 0:4,0:4 --tolerance 1", "1.0 is not in the range 0<x<1"),
        ("ganalyze", "Missing option '--attribute'"),
        ("ganalyze --attribute brightness --reach 0 -n 4", "0.0 is not in the range x>0"),
        ("gradients --attribute smile", "'smile' is not one of"),
        ("gradients --attribute warmth -n 4 --layers 3", "layers must be in 0 to 0"),
        ("steer", "Missing option '--transform'"),
        ("steer --transform shrink", "'shrink' is not one of"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(run, options, message):
    np.save("s.npy", np.arange(20.0))
    method, *flags = options.split()
    refused(run("find", method, DCGAN, *flags, "-o", "d.safetensors"), message)
    assert [p.name for p in Path().iterdir()] == ["s.npy"]


def test_grey_images_have_no_warmth(run, models):
    grey = filled(DCGANConfig(2, (1,), (4,), (1,), (0,), (0,), (True,), (False,)))
    jaxlatent.save(grey, "grey")
    for command in (("linear", "-n", 20), ("ganalyze",), ("gradients",)):
        flags = ("--attribute", "warmth", "-o", "d.safetensors")
        refused(run("find", command[0], "grey", *command[1:], *flags), "these have 1")


def test_help_is_one_line_a_method_with_examples(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run("find")
    assert status == 0
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    for name in finders.find.commands:
        (line,) = [line for line in lines if line.split()[0] == name]
        assert line.endswith(".")
        assert not line.endswith("..")
        status, out, _ = run("find", name, "--help")
        assert status == 0
        assert "Examples:\n  " in out
        assert f"jaxlatent find {name} " in out

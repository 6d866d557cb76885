"""Sound files with odd contents: whatever stands in the tree, only our errors come out."""

import importlib
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from converters import FORMATS, Checkpoint, ConversionError, convert, detect, read_checkpoint
from converters.arrays import MAX_BLOCKS, MAX_LAYERS
from converters.errors import MALFORMED
from jaxlatent.parameters import parameter_shapes

module = importlib.import_module("converters.convert")  # the function has its name
GOLDENS = Path(__file__).parents[1] / "goldens"
FILES = {
    "ada_res32_resnet": "checkpoint.pkl",
    "sg3t_res32_cond": "checkpoint.pkl",
    "rosinality_res32": "checkpoint.pt",
    "tf_stylegan2_res32": "checkpoint.pkl",
    "tf_pggan_res32": "checkpoint.pkl",
    "huangzh13_stylegan_res32": "checkpoint.pth",
    "genforce_pggan_res8": "checkpoint.pth",
    "genforce_stylegan1_res8": "checkpoint.pth",
    "genforce_stylegan2_res8": "checkpoint.pth",
    "interfacegan_pggan_res32": "checkpoint.pth",
    "interfacegan_stylegan_res32": "checkpoint.pth",
    "dcgan_64": "netG_epoch_24.pth",
    "biggan_pt_32": "G_ema.pth",
    "infogan_mnist": "model_final_MNIST",
    "mimicry_sagan32": "netG_100000_steps.pth",
}
ODD = [
    *(None, "x", -1, 1 << 100, float("nan"), [], {}, {"_modules": 5}, {5: {}}, (), b"x"),
    *(np.zeros(shape, np.float32) for shape in ((), (0,), (1,), (3, 1), (2, 3, 4), (1,) * 6)),
    *(np.ones((4, 4), dtype) for dtype in (np.complex64, "U3", "S3", np.int8)),
]


class Fitted(BaseException):
    """Raised in place of building: everything before it went well."""


def replaced(tree, path, value):
    """Returns `tree` with another value at `path`, `...` for none; what is around it is copied."""
    head, *rest = path
    changed = dict(tree) if isinstance(tree, dict) else list(tree)
    if rest:
        changed[head] = replaced(tree[head], rest, value)
    elif value is ...:
        del changed[head]
    else:
        changed[head] = value
    return changed


def places(node, path=()) -> Iterator[tuple]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*path, key)
        if isinstance(value, (dict, list, tuple)):
            yield from places(value, (*path, key))


@cache
def golden(name: str):
    tree = read_checkpoint(GOLDENS / name / FILES[name]).tree
    if isinstance(tree, tuple):  # networks G, D, Gs
        return tree[2]
    read = [key for key in ("G_ema", "generator_smooth", "netG", "params") if key in tree]
    return {key: tree[key] for key in read} or tree  # what no format reads may be odd


@pytest.fixture
def fit(monkeypatch):
    """Converts a tree as `convert` does a file, but raises `Fitted` instead of building."""

    def stop(*_):
        raise Fitted

    def attempt(tree, format=None, options=None):
        checkpoint = Checkpoint(Path("odd.pt"), "torch zip", tree, "")
        monkeypatch.setattr(module, "read_checkpoint", lambda _: checkpoint)
        convert("odd.pt", format, options)

    monkeypatch.setattr(module, "build", stop)
    monkeypatch.setattr(module, "parameter_shapes", cache(parameter_shapes))
    return attempt


@pytest.mark.parametrize("name", FILES)
def test_odd_values_anywhere_in_a_tree_are_refused_or_harmless(fit, name):
    tree, chooser = golden(name), random.Random(0)
    with pytest.raises(Fitted):
        fit(tree)
    known = detect(tree).name
    paths = list(places(tree))
    messages = []
    for path in chooser.sample(paths, min(80, len(paths))):
        for value in (..., *chooser.sample(ODD, 3)):
            for format in (None, known):
                with pytest.raises((ConversionError, Fitted)) as caught:
                    fit(replaced(tree, path, value), format)
                messages += [str(caught.value)] if caught.type is ConversionError else []
    assert len(messages) > 100
    assert not [m for m in messages if "not a sound" in m]  # all explained, none caught at the last


@pytest.mark.parametrize("format", [None, *FORMATS])
@pytest.mark.parametrize("tree", [*ODD, [{}], {"a": {"b": 1}}, {1: np.ones(3)}])
def test_odd_roots_are_refused(fit, tree, format):
    with pytest.raises(ConversionError):
        fit(tree, format)


@pytest.mark.parametrize("mistake", MALFORMED)
@pytest.mark.parametrize("step", ["apply_rules", "build"])
def test_no_mistake_of_a_converter_leaves_a_traceback(fit, monkeypatch, mistake, step):
    def fail(*_):
        raise mistake("odd")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(ConversionError, match=r"odd.pt: not a sound torch-dcgan checkpoint: .*odd"):
        fit(golden("dcgan_64"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("_parameters",), 5, "_parameters of the pickled module"),
        (("_modules", "mapping", "_buffers"), [], "mapping._buffers of the pickled module"),
        (("_modules", "synthesis", "_modules", 5), {}, "synthesis._modules of the pickled"),
        (("_modules", "mapping", "_modules", "fc0", "bias_gain"), "x", "no bias_gain, or an odd"),
        (("_modules", "mapping", "_modules", "fc0", "activation"), [], "no activation"),
        (("_modules", "mapping", "_modules"), {}, "missing: mapping.fc0.weight"),
    ],
)
def test_odd_modules_are_named(fit, path, value, message):
    tree = replaced(golden("ada_res32_resnet"), ("G_ema", *path), value)
    with pytest.raises(ConversionError, match=message):
        fit(tree)


def rosinality(**changes):
    """Returns the arrays of the golden, some of them replaced (`...`: left out)."""
    arrays = dict(golden("rosinality_res32")["g_ema"])
    for name, value in changes.items():
        arrays[name] = value
    return {"g_ema": {k: v for k, v in arrays.items() if v is not ...}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1.conv.weight": ...}, r"missing: conv1\.conv\.weight"),
        ({"conv1.conv.weight": np.ones(3)}, r"conv1\.conv\.weight is \[3\]"),
        ({"style.1.weight": np.ones(())}, r"style\.1\.weight is \[\]"),
        ({"to_rgbs.0.upsample.kernel": ...}, r"missing: to_rgbs\.0\.upsample\.kernel"),
        ({"noises.noise_0": ...}, r"missing: noises\.noise_0"),
        (
            {f"convs.{i}.conv.weight": np.ones((1, 1)) for i in range(60)},
            f"31 resolutions; at most {MAX_BLOCKS}",
        ),
        (
            {f"style.{i}.weight": np.ones((64, 64)) for i in range(1, 100)},
            f"99 mapping layers; at most {MAX_LAYERS}",
        ),
    ],
)
def test_odd_rosinality_files_are_explained(fit, changes, message):
    with pytest.raises(ConversionError, match=message):
        fit(rosinality(**changes))


def test_stacks_without_end_are_refused(fit):
    tree = {f"conv{i}.weight": np.ones((1, 1, 2, 2)) for i in range(MAX_LAYERS + 1)}
    with pytest.raises(ConversionError, match=f"65 convolutions; at most {MAX_LAYERS}"):
        fit(tree, "torch-dcgan")

"""The peers in torch compute what our generators do, and read every stored array."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path

import click
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import STYLEGAN2_CONFIG, filled, stylegan3_config

from benchmarks.__main__ import main
from benchmarks.peers import device, original
from converters import convert, read_checkpoint
from converters.arrays import module_arrays
from jaxlatent.generators import BigGANConfig, PGGANConfig

PGGAN_CONFIG = PGGANConfig((6, 5, 4), z_dim=6, all_images=False)
BIGGAN_CONFIG = BigGANConfig(
    z_dim=8, num_classes=3, channels=(16, 8, 8, 8), upsamples=(True, False, True), embed_dim=4,
    attention=(1,), bottom_width=2, norm_epsilon=1e-3,
)  # fmt: skip
CONFIGS = {
    "pggan": PGGAN_CONFIG,
    "pggan, classes": dataclasses.replace(
        PGGAN_CONFIG, c_dim=3, normalize_z=True, output_activation="tanh"
    ),
    "biggan": BIGGAN_CONFIG,
    "biggan deep, truncated": dataclasses.replace(
        BIGGAN_CONFIG, deep=True, channels=(16, 16, 16, 8), num_stats=2, truncation=0.3
    ),
    "biggan, a scale for each class": dataclasses.replace(
        BIGGAN_CONFIG, hierarchical=False, embed_dim=0
    ),
    "stylegan3-t": dataclasses.replace(stylegan3_config(), conv_clamp=3.0),
    "stylegan3-r": stylegan3_config(kernel=1, radial=True),
}
N = 3


def peer_of(generator):
    peers = importlib.import_module(f"benchmarks.peers.{generator.family}")
    return peers.torch_peer(generator)


@jax.jit
def synthesize(generator, codes, label):
    return generator.synthesize(codes, label=label)


@pytest.fixture(scope="module", params=CONFIGS)
def case(request):
    """A generator, its codes and labels in JAX and torch, and the peer's images."""
    torch = pytest.importorskip("torch")
    generator = filled(CONFIGS[request.param])
    label = jnp.arange(N) % generator.num_classes if generator.num_classes else None
    codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), N), label))
    given = [None if a is None else torch.tensor(np.array(a)) for a in (codes, label)]
    return generator, (codes, label), given, peer_of(generator)(*given).numpy()


def test_a_peer_makes_the_same_images(case):
    generator, inputs, _, images = case
    ours = np.asarray(synthesize(generator, *inputs))
    assert ours.std() > 0.05
    np.testing.assert_allclose(images.transpose(0, 2, 3, 1), ours, atol=1e-4)


def test_a_peer_reads_every_array(case):
    """So no term is missing that the weights at hand happen to hide."""
    generator, _, given, images = case
    leaves, structure = jax.tree_util.tree_flatten_with_path(generator)
    for index, (path, leaf) in enumerate(leaves):
        if "mapping" not in str(path):
            others = [array for _, array in leaves]
            others[index] = np.asarray(leaf) * 1.5 + 0.1
            changed = peer_of(jax.tree.unflatten(structure, others))(*given).numpy()
            assert np.abs(changed - images).max() > 1e-4, path


def test_weights_over_classes_are_labels_too(case):
    generator, _, (codes, label), images = case
    if label is not None:
        weights = importlib.import_module("torch").eye(generator.num_classes)[label]
        np.testing.assert_allclose(peer_of(generator)(codes, weights).numpy(), images, atol=1e-5)


def test_a_pggan_that_still_grows_has_no_peer():
    pytest.importorskip("torch")
    growing = filled(dataclasses.replace(PGGAN_CONFIG, all_images=True, lod=0.5))
    with pytest.raises(ValueError, match="lod must be 0"):
        peer_of(growing)


GOLDENS = Path(__file__).parent / "goldens"
FAKE = """
from pathlib import Path

import torch
from benchmarks import models
from benchmarks.peers.stylegan2 import torch_peer
from converters.convert import convert_tree
from converters.detect import detect
from converters.reader import Checkpoint
from converters.stylegan2_nvidia import rules_of
from jaxlatent.parameters import parameter_shapes

ORDER = {4: (3, 2, 0, 1), 3: (2, 0, 1)}


class Generator(torch.nn.Module):
    def __init__(self, z_dim, c_dim, w_dim, img_resolution, img_channels,
                 mapping_kwargs={}, SYNTHESIS):
        super().__init__()
        assert synthesis_kwargs["num_fp16_res"] == 0
        config = models.stylegan2(
            img_resolution, synthesis_kwargs["channel_base"], synthesis_kwargs["channel_max"]
        )
        assert mapping_kwargs["num_layers"] == len(config.mapping_widths)
        shapes = parameter_shapes(config)
        for rule in rules_of(config):
            shape = shapes[rule.target]
            order = ORDER.get(len(shape), reversed(range(len(shape))))
            self.put(rule.source, torch.zeros([shape[i] for i in order]))
        filter = torch.tensor([1.0, 3, 3, 1]).outer(torch.tensor([1.0, 3, 3, 1])) / 64
        self.put("synthesis.b4.resample_filter", filter)
        self.put("synthesis.b8.conv0.resample_filter", filter)
        self.synthesis.forward = self.render

    def put(self, name, array):
        *path, leaf = name.split(".")
        node = self
        for part in path:
            if not hasattr(node, part):
                node.add_module(part, torch.nn.Module())
            node = getattr(node, part)
        node.register_buffer(leaf, array)

    def render(self, codes, noise_mode, force_fp32, fused_modconv):
        assert (noise_mode, force_fp32) == ("const", True)
        tree = {name: array.numpy() for name, array in self.state_dict().items()}
        file = Checkpoint(Path("fake"), "recipe", tree, "")
        options = {"conv_clamp": "none", "mapping_lr_multiplier": "0.01"}
        return torch_peer(convert_tree(file, detect(tree), options).model, fused_modconv)(codes)
"""
SIGNATURES = {
    original.ADA: "synthesis_kwargs={}",
    original.SG3: "**synthesis_kwargs",
}


@pytest.fixture(params=SIGNATURES)
def checkout(request, tmp_path, monkeypatch):
    """A folder with a generator that is built and called as NVIDIA's is, and its module's name."""
    file = tmp_path.joinpath(*request.param.split(".")).with_suffix(".py")
    file.parent.mkdir()
    file.write_text(FAKE.replace("SYNTHESIS", SIGNATURES[request.param]))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("JAXLATENT_BENCHMARK", "1")  # the test's own process runs the benchmark
    yield tmp_path, request.param
    for name in [name for name in sys.modules if name.partition(".")[0] == "training"]:
        del sys.modules[name]


@pytest.mark.usefixtures("lenient")  # as checked annotations are in the way of compiling ahead
def test_a_checkout_is_timed_beside_our_peers(checkout):
    pytest.importorskip("torch")
    folder, name = checkout
    command = ["run", "--quick", "--suite", "synth", "--only", "batch 2, exact"]
    command += ["--peer-path", str(folder), "--out", str(folder / "out.json")]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    held = json.loads((folder / "out.json").read_text())
    assert held["environment"]["original"] == name
    rows = {row["case"]: set(row["ratios"]) for row in held["results"]}
    peers = {"fused", "shared", "original fused", "original shared"}
    assert rows == {
        "StyleGAN2 32 px, narrow, batch 2, exact": peers,
        "DCGAN 64 px, batch 2, exact": {"torch"},
    }


def test_what_is_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLATENT_BENCHMARK", "1")
    monkeypatch.setattr(sys, "path", list(sys.path))
    command = ["run", "--quick", "--peer-path", str(tmp_path), "--out", str(tmp_path / "out.json")]
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 2
    assert "neither training/networks.py nor training/networks_stylegan2.py" in told.output
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "networks.py").write_text("import nothing_of_this_name")
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 2
    assert "cannot be imported: No module named 'nothing_of_this_name'" in told.output
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    "name", ["ada_res32_resnet", "ada_res64_cond10", "sg3repo_stylegan2_res32"]
)
def test_weights_go_back_to_the_arrays_they_came_from(name):
    file = GOLDENS / name / "checkpoint.pkl"
    arrays = module_arrays(read_checkpoint(file).tree["G_ema"])
    shapes = {name: array.shape for name, array in arrays.items()}
    generator = convert(file).model
    found = original.state_of(generator, shapes)
    assert {n for n in arrays if not n.endswith("resample_filter")} == found.keys()
    for key, array in found.items():
        np.testing.assert_array_equal(array, arrays[key], strict=True)
    shapes["extra"] = shapes["mapping.fc0.weight"] = (1, 1)
    with pytest.raises(click.UsageError, match=r"other arrays: extra, mapping\.fc0\.weight"):
        original.state_of(generator, shapes)


def test_all_of_a_peer_moves_to_a_device():
    """What stays behind would end a run on a GPU."""
    torch = pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    places = set()

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            for value in jax.tree.leaves((arguments, keywords)):
                if isinstance(value, torch.Tensor) and value.ndim:
                    places.add(value.device.type)
            return function(*arguments, **(keywords or {}))

    stylegan2 = importlib.import_module("benchmarks.peers.stylegan2").torch_peer
    generators = [filled(config) for config in CONFIGS.values()]
    peers = [(generator, peer_of(generator)) for generator in generators]
    styles = filled(STYLEGAN2_CONFIG)
    peers += [(styles, stylegan2(styles, fused)) for fused in (True, False)]
    for generator, network in peers:
        label = jnp.arange(N) % generator.num_classes if generator.num_classes else None
        codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), N), label))
        given = [None if a is None else torch.tensor(np.array(a)) for a in (codes, label)]
        given = [a if a is None else a.to("meta") for a in given]
        network = network.to("meta")
        with Seen():
            network(*given[: 2 if generator.num_classes else 1])
        assert places == {"meta"}, generator.family


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own
def test_torch_has_what_makes_it_fast():
    """bfloat16 with channels last, and that compiled; images differ by its rounding alone."""
    torch = pytest.importorskip("torch")
    styles = filled(STYLEGAN2_CONFIG)
    network = importlib.import_module("benchmarks.peers.stylegan2").torch_peer(styles, False)
    codes = styles.broadcast(styles.map(styles.sample_z(jax.random.key(0), N)))
    found = device.fast({"shared": network})
    assert list(found) == ["shared", "shared bfloat16", "shared bfloat16 compiled"]
    exact = device.work(network, codes)().numpy()
    half = device.work(found["shared bfloat16"], codes, precision="fast")()
    assert half.dtype == torch.float32
    difference = np.abs(half.numpy() - exact).max()
    assert 0 < difference < 0.05 * np.abs(exact).max()

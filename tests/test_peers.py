"""The peers in torch compute what our generators do, and read every stored array."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled, stylegan3_config

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

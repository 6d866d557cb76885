"""The harness measures what it says."""

import time

import jax
import numpy as np
import pytest

from benchmarks.harness import compare, environment
from benchmarks.peers.inversion import one_after_the_other, torch_peer
from jaxlatent.invert import Recipe, Schedule, invert


def test_ratio_and_error():
    def slow():
        time.sleep(0.02)
        return np.array([1.0, 2.5])

    row = compare("case", 2, lambda: np.array([1.0, 2.0]), slow, rounds=3)
    assert row["ratio_min"] > 1
    assert row["other_s"] == pytest.approx(0.02, rel=0.5)
    assert row["error"] == 0.5
    assert row["items_per_s"] == pytest.approx(2 / row["ours_s"])


def test_the_machine_is_recorded():
    assert {"jax", "device", "cores", "load"} <= environment().keys()


def test_the_peer_of_inversion_is_the_same_algorithm(dcgan):
    torch = pytest.importorskip("torch")
    codes = dcgan.sample_z(jax.random.key(0), 2)
    z, images = np.array(codes), np.asarray(dcgan.synthesize(codes[:, None]))
    network = torch_peer(dcgan)
    rendered = network(torch.from_numpy(z[:, :, None, None])).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(rendered, images, atol=1e-4)
    starts = z + np.float32(0.5)
    losses = one_after_the_other(network, images, starts, 12)
    recipe = Recipe("z", 12, Schedule(0.1, fall=0.5))
    found = invert(dcgan, images, recipe, jax.random.key(0), codes=starts)
    np.testing.assert_allclose(losses, found.loss, rtol=0.02)

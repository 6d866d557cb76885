"""What every finder must do; a new one joins with one line."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted import Linear, PlantedConfig

from jaxlatent import Directions, find
from jaxlatent.find import Training

pytestmark = pytest.mark.slow
KEY = jax.random.key(7)
D = 8
BOX = ((0, 6), (0, 6))
MOST = np.ones((12, 12), bool)  # all but two pixels, whose 6 numbers leave 2 dimensions free
MOST[0, :2] = False
BRIEF = Training(steps=5, batch=4)


def latents(n=400):
    return Linear(PlantedConfig()).sample_z(jax.random.key(1), n)


def attributes(codes):
    return np.asarray(codes @ jax.random.normal(jax.random.key(2), (D, 2)))


def linear():
    return Linear(PlantedConfig(num_layers=1))


def light(images):
    return jnp.mean(images, axis=(1, 2, 3))


def layered(n=12):
    return latents(n)[:, None]


def scored(finder, **options):
    codes = latents()
    return finder(codes, attributes(codes), **options)


FINDERS = {
    "sefa": lambda: find.sefa([jax.random.normal(KEY, (9, D))], 3),
    "boundary": lambda: scored(find.boundary, key=KEY, ratio=0.3),
    "boundary, interior": lambda: scored(find.boundary, key=KEY, ratio=0.3, solver="interior"),
    "condition": lambda: find.condition(*scored(find.boundary, key=KEY, ratio=0.3)),
    "linear_map": lambda: scored(find.linear_map, strength=0.0),
    "linear_map, orthogonal": lambda: scored(find.linear_map, strength=10.0),
    "difference_of_means": lambda: scored(find.difference_of_means),
    "few_shot": lambda: find.few_shot(latents(9), 1 + latents(7)),
    "ganspace": lambda: find.ganspace(latents() * jnp.arange(1.0, D + 1)[None], 3),
    "random_directions": lambda: find.random_directions(KEY, 3, D),
    "ganalyze": lambda: find.ganalyze(linear(), layered(), light, key=KEY, training=BRIEF),
    "scorer_gradients": lambda: find.scorer_gradients(linear(), layered(), light),
    "steerability": lambda: find.steerability(
        linear(), layered(), ["brightness"], key=KEY, training=BRIEF
    ),
    "voynov": lambda: find.voynov(linear(), layered(), 3, key=KEY, width=2, training=BRIEF),
    "local_directions": lambda: find.local_directions(linear(), layered(), 3),
    "resefa": lambda: find.resefa(linear(), layered(), BOX, 3),
    "lowrankgan": lambda: find.lowrankgan(linear(), layered(), MOST, 2, sparsity=float("inf")),
}


@pytest.fixture(scope="module", params=FINDERS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def found(name):
    return FINDERS[name]()


def test_directions_are_unit_vectors_in_the_order_of_their_scores(found):
    rows = np.linalg.norm(np.asarray(found.vectors), axis=2)
    np.testing.assert_allclose(rows, 1, atol=1e-5)
    scores = np.asarray(found.scores).reshape(len(found), -1).sum(axis=1)
    assert (np.diff(scores) <= 1e-6).all()
    assert len(set(found.names)) == len(found)
    assert found.vectors.dtype == np.float32


def test_they_say_where_they_come_from_and_are_kept_on_disk(found, tmp_path):
    assert found.method
    assert found.sign_anchor
    found.save(tmp_path / "d.safetensors")
    again = Directions.load(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(again.vectors, found.vectors)
    assert again.parameters.keys() == found.parameters.keys()


def test_the_same_arguments_give_the_same_directions(name, found):
    np.testing.assert_array_equal(FINDERS[name]().vectors, found.vectors)


def test_the_number_of_devices_does_not_matter(tmp_path):
    folder = Path(__file__).parent
    script = (
        "import jax, numpy, test_finder_conformance as t\n"
        "assert jax.device_count() == 4\n"
        "found = {n: numpy.asarray(f().vectors) for n, f in t.FINDERS.items()}\n"
        f"numpy.savez({str(tmp_path / 'found.npz')!r}, **found)\n"
    )
    paths = [folder, folder.parent, folder.parents[1]]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=tmp_path)
    with np.load(tmp_path / "found.npz") as stored:
        for name, finder in FINDERS.items():
            np.testing.assert_allclose(stored[name], finder().vectors, atol=1e-5, err_msg=name)

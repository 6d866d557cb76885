"""What every finder must do; a new one joins with one line."""

import inspect
import os
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled
from planted import TINY, Linear, PlantedConfig
from test_infogan import infogan

from jaxlatent import Directions, find
from jaxlatent.find import Training
from jaxlatent.generators import StyleSpace

pytestmark = pytest.mark.slow
D = 8
BOX = ((0, 6), (0, 6))
MOST = np.ones((12, 12), bool)  # all but two pixels, whose 6 numbers leave 2 dimensions free
MOST[0, :2] = False
BRIEF = Training(steps=5, batch=4)
COMPILED = []  # an entry for each program that XLA has made


def listen(event, seconds, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(seconds)


jax.monitoring.register_event_duration_secs_listener(listen)


def key(seed):
    return jax.random.key(7 + seed)


def linear(seed):
    return Linear(PlantedConfig(), seed)


def latents(seed, n=400):
    return linear(0).sample_z(jax.random.key(100 + seed), n)


def uneven(seed):
    """Codes with a variance of its own in every coordinate, evenly distributed."""
    return jax.random.uniform(key(seed), (400, D)) * jnp.arange(1.0, D + 1)[None]


def layered(seed, n=12):
    return latents(seed, n)[:, None]


def light(images):
    return jnp.mean(images, axis=(1, 2, 3))


def scored(finder, seed, **options):
    codes = latents(seed)
    attributes = np.asarray(codes @ jax.random.normal(jax.random.key(seed), (D, 2)))
    return finder(codes, attributes, **options)


def trained(finder, seed, *arguments, **options):
    return finder(linear(seed), layered(seed), *arguments, key=key(seed), training=BRIEF, **options)


def classified(seed):
    codes = latents(seed)
    side = np.where(np.asarray(codes[:, 0]) > 0, 1, -1)
    return find.linear_svm(codes, np.arange(400)[None], side[None]).weight


@cache
def view(seed):
    return StyleSpace(filled(TINY, seed))


def styles(seed, n=30):
    return jax.random.normal(key(seed), (n, 1, view(seed).code_dim))


def effects(seed):
    statistics = find.channel_statistics(styles(seed))
    chosen = [0, view(seed).code_dim - 1, 4]
    return find.channel_effects(view(seed), styles(seed, 2), light, statistics, channels=chosen)


def channels(finder, seed, *arguments):
    return finder(view(seed), effects(seed), find.channel_statistics(styles(seed)), *arguments)


# name, before a comma that of a function -> function of a seed
FINDERS = {
    "sefa": lambda s: find.sefa([jax.random.normal(key(s), (9, D))], 3),
    "sefa, per layer": lambda s: find.sefa(
        [jax.random.normal(key(s), (9, D))] * 2, 3, per_layer=True
    ),
    "boundary": lambda s: scored(find.boundary, s, key=key(s), ratio=0.3),
    "boundary, exact": lambda s: scored(find.boundary, s, key=key(s), ratio=0.3, solver="exact"),
    "boundary, logistic": lambda s: scored(
        find.boundary, s, key=key(s), ratio=0.3, loss="logistic"
    ),
    "condition": lambda s: find.condition(*scored(find.boundary, s, key=key(s), ratio=0.3)),
    "linear_map": lambda s: scored(find.linear_map, s, strength=0.0),
    "linear_map, orthogonal": lambda s: scored(find.linear_map, s, strength=10.0),
    "difference_of_means": lambda s: scored(find.difference_of_means, s),
    "vector_arithmetic": lambda s: find.vector_arithmetic(latents(s, 9), 1 + latents(s, 7)),
    "few_shot": lambda s: find.few_shot(latents(s, 9), 1 + latents(s, 7)),
    "ganspace": lambda s: find.ganspace(uneven(s), 3),
    "ganspace_activations": lambda s: find.ganspace_activations(linear(s), key(s), 200, 3),
    "ica": lambda s: find.ica(uneven(s), 3, key(s)),
    "sparse_pca": lambda s: find.sparse_pca(uneven(s), 3, key(s)),
    "random_directions": lambda s: find.random_directions(key(s), 3, D),
    "ganalyze": lambda s: trained(find.ganalyze, s, light),
    "scorer_gradients": lambda s: find.scorer_gradients(linear(s), layered(s), light),
    "steerability": lambda s: trained(find.steerability, s, ["brightness", "red", "shift down"]),
    "voynov": lambda s: trained(find.voynov, s, 3, width=2),
    "local_directions": lambda s: find.local_directions(linear(s), layered(s), 3),
    "resefa": lambda s: find.resefa(linear(s), layered(s), BOX, 3),
    "lowrankgan": lambda s: find.lowrankgan(linear(s), layered(s), MOST, 2, sparsity=float("inf")),
    "stylespace": lambda s: find.stylespace(
        view(s), styles(s)[:5], find.channel_statistics(styles(s)), 3
    ),
    "stylespace_by_effect": lambda s: channels(find.stylespace_by_effect, s, 3),
    "styleclip": lambda s: channels(find.styleclip, s, 0.0),
    "infogan_codes": lambda s: find.infogan_codes(infogan()),
}

# what finds something else than directions -> its numbers
OTHERS = {
    "linear_svm": classified,
    "linear_map_sweep": lambda s: scored(find.linear_map_sweep, s, strengths=[0.0, 1.0]).weights,
    "nonlinear_steerability": lambda s: trained(
        find.nonlinear_steerability, s, "brightness", hidden=4
    )(layered(s), 2),
    "channel_effects": effects,
}
CALLS = FINDERS | OTHERS


def numbers(found):
    return np.asarray(found.vectors if isinstance(found, Directions) else found)


@pytest.fixture(scope="module", params=CALLS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def first(name):
    return CALLS[name](0)


@pytest.fixture
def found(name, first):
    if name in OTHERS:
        pytest.skip("it finds no directions")
    return first


def test_every_exported_finder_is_in_the_table():
    functions = {n for n in find.__all__ if inspect.isfunction(getattr(find, n))}
    returned = {n: inspect.signature(getattr(find, n)).return_annotation for n in functions}
    finders = {n for n, kind in returned.items() if kind is Directions}
    assert finders == {name.partition(",")[0] for name in FINDERS}


def test_directions_are_unit_vectors_in_the_order_of_their_scores(found):
    whole = np.linalg.norm(np.asarray(found.vectors), axis=2)
    layers = found.vectors.shape[1] if found.parameters.get("per_layer") else 1
    np.testing.assert_allclose(np.sqrt(np.sum(whole**2, axis=1)), layers**0.5, atol=1e-5)
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


def test_a_second_call_compiles_nothing_and_finds_the_same(name, first):
    """Nor does a call with other numbers of the same shapes, which must matter."""
    before = len(COMPILED)
    again, other = CALLS[name](0), CALLS[name](1)
    assert len(COMPILED) == before
    np.testing.assert_array_equal(numbers(again), numbers(first))
    assert name == "infogan_codes" or not np.allclose(numbers(other), numbers(first), atol=1e-3)


def test_compilations_are_counted():
    before = len(COMPILED)
    jax.jit(partial(jnp.add, 1.0))(jnp.zeros(5))
    assert len(COMPILED) > before


def test_finders_work_where_there_are_several_devices(tmp_path):
    """They use one of them, and find what they find with one. Sums over devices: `Moments`."""
    folder = Path(__file__).parent
    script = (
        "import jax, numpy, test_finder_conformance as t\n"
        "assert jax.device_count() == 4\n"
        "found = {n: t.numbers(f(0)) for n, f in t.CALLS.items()}\n"
        f"numpy.savez({str(tmp_path / 'found.npz')!r}, **found)\n"
    )
    paths = [folder, folder.parent, folder.parents[1]]
    environment = os.environ | {
        "XLA_FLAGS": os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=tmp_path)
    with np.load(tmp_path / "found.npz") as stored:
        for name, finder in CALLS.items():
            mine = numbers(finder(0))
            np.testing.assert_allclose(stored[name], mine, atol=1e-5, err_msg=name)

"""Sweeps equal the same edits made one by one, whatever the chunks, stage, space and noise."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import Directions, Edit, UserError, edit, render, sweep
from jaxlatent.find import sefa
from jaxlatent.programs import sweep_images

STRENGTHS = [-2.0, 0.0, 1.5]
N, K = 3, 2


@pytest.fixture(scope="module")
def z(stylegan2):
    return stylegan2.sample_z(jax.random.key(0), N)


@pytest.fixture(scope="module")
def codes(stylegan2, z):
    return stylegan2.broadcast(stylegan2.map(z))


@pytest.fixture(scope="module")
def directions(stylegan2):
    return sefa(stylegan2.affines(), K).bind(stylegan2)


@jax.jit
def synthesize(generator, codes):
    return generator.synthesize(codes)


def one_by_one(finish):
    """Renders each image of a sweep by a call of its own."""
    images = [[[finish(i, j, t) for t in STRENGTHS] for j in range(K)] for i in range(N)]
    return np.asarray(images)[..., 0, :, :, :]


def close(ours, theirs):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_a_sweep_equals_one_by_one(stylegan2, codes, directions, mode):
    def alone(i, j, t):
        moved = edit(stylegan2, codes[i : i + 1], Edit(directions[[j]], [t], mode=mode))
        return synthesize(stylegan2, moved)

    close(sweep(stylegan2, codes, directions, STRENGTHS, mode=mode), one_by_one(alone))


@pytest.mark.parametrize("stage", ["before", "after"])
def test_stage_layers_and_truncation(stylegan2, codes, directions, stage):
    cut = {"psi": 0.6, "cutoff": 4}

    def alone(i, j, t):
        step = Edit(directions[j], [t], layers=(1, 2, 5), stage=stage)
        return synthesize(stylegan2, edit(stylegan2, codes[i : i + 1], step, **cut))

    images = sweep(stylegan2, codes, directions, STRENGTHS, layers=[1, 2, 5], stage=stage, **cut)
    close(images, one_by_one(alone))
    staged = dataclasses.replace(directions, stage=stage)
    own = sweep(stylegan2, codes, staged, STRENGTHS, layers=[1, 2, 5], **cut)
    np.testing.assert_array_equal(own, images)


def test_directions_in_z_pass_through_the_mapping(stylegan2, z):
    directions = Directions.of(np.eye(6, dtype=np.float32)[:K, None], space="z")

    def alone(i, j, t):
        moved = z[i : i + 1].at[:, j].add(t)
        return synthesize(stylegan2, stylegan2.broadcast(stylegan2.map(moved)))

    close(sweep(stylegan2, z[:, None], directions, STRENGTHS), one_by_one(alone))


def test_results_do_not_depend_on_the_chunk(stylegan2, codes, directions):
    key = jax.random.key(1)
    calls = []
    whole = sweep(stylegan2, codes, directions, STRENGTHS, noise="random", key=key)
    part = sweep(
        stylegan2, codes, directions, STRENGTHS, noise="random", key=key, budget=60_000,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert len(calls) > 2
    assert calls[-1] == (N * K * 3, N * K * 3)
    close(part, whole)


def test_a_sample_keeps_its_noise(stylegan2, codes, directions):
    images = sweep(stylegan2, codes, directions, [0.0, 0.0], noise="random", key=jax.random.key(1))
    np.testing.assert_allclose(images[:, 0, 0], images[:, 1, 1], rtol=1e-4, atol=1e-3)
    assert np.abs(images[0, 0, 0] - images[1, 0, 0]).max() > 1e-2


def test_given_noise_maps_and_silence(stylegan2, codes, directions):
    maps = [jnp.zeros((r, r)) for r in (4, 8, 8, 16, 16)]
    given = sweep(stylegan2, codes, directions, STRENGTHS, noise=maps)
    close(given, sweep(stylegan2, codes, directions, STRENGTHS, noise="none"))


def test_a_second_sweep_is_not_compiled_again(stylegan2, codes, directions):
    sweep(stylegan2, codes, directions, STRENGTHS)
    before = sweep_images._cache_size()
    sweep(stylegan2, codes + 1, directions, [t + 1 for t in STRENGTHS])
    assert sweep_images._cache_size() == before


def test_render_equals_one_call(stylegan2, codes):
    close(render(stylegan2, codes), np.asarray(synthesize(stylegan2, codes)))
    with pytest.raises(UserError, match="budget must be a number of bytes above 0, got -1"):
        render(stylegan2, codes, budget=-1)
    close(render(stylegan2, codes, budget=1), np.asarray(synthesize(stylegan2, codes)))
    assert render(stylegan2, codes[:0]).shape == (0, 16, 16, 3)


def test_images_are_not_clipped(stylegan2, codes, directions):
    assert np.abs(sweep(stylegan2, codes, directions, [50.0])).max() > 2


@pytest.mark.usefixtures("lenient")
def test_labels_are_checked_before_the_program(fill, stylegan2, codes, directions):
    config = dataclasses.replace(stylegan2.config, c_dim=3, embed_dim=4)
    conditional = fill(config)
    z = Directions.of(np.eye(6, dtype=np.float32)[:1, None], space="z")
    latents = conditional.sample_z(jax.random.key(0), N)[:, None]
    images = sweep(conditional, latents, z, [1.0], label=[0, 1, 2])
    for i in range(N):
        alone = sweep(conditional, latents[i : i + 1], z, [1.0], label=jnp.array([i]))
        close(images[i : i + 1], alone)
    for label, message in (
        (jnp.array([0, 1]), "3 integers or weights"),
        (jnp.array([0, 1, 7]), "in 0 to 2"),
        (jnp.array([0.9, 1.7, 0.0]), "must be integers"),
    ):
        with pytest.raises(UserError, match=message):
            sweep(conditional, latents, z, [1.0], label=label)
        with pytest.raises(UserError, match=message):
            render(conditional, codes, label=label)
    with pytest.raises(UserError, match="not conditional"):
        sweep(stylegan2, codes, directions, [1.0], label=jnp.array([0, 1, 2]))


def test_more_images_than_memory_holds_are_refused(stylegan2, codes, directions, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1024, "SC_PHYS_PAGES": 50}.get)
    assert sweep(stylegan2, codes, directions, STRENGTHS[:2]).shape[2] == 2
    with pytest.raises(UserError, match=r"18 images need .* GiB; ask for fewer at once"):
        sweep(stylegan2, codes, directions, STRENGTHS)


@pytest.mark.usefixtures("lenient")
def test_mistakes(stylegan2, codes, directions, z):
    with pytest.raises(UserError, match="strengths must be a list"):
        sweep(stylegan2, codes, directions, [])
    with pytest.raises(UserError, match="stage must be before or after"):
        sweep(stylegan2, codes, directions, STRENGTHS, stage="during")
    with pytest.raises(UserError, match="cutoff goes with psi"):
        sweep(stylegan2, codes, directions, STRENGTHS, cutoff=2)
    with pytest.raises(UserError, match="cutoff must be in"):
        sweep(stylegan2, codes, directions, STRENGTHS, psi=0.5, cutoff=99)
    with pytest.raises(UserError, match=r"\[n, 6, 7\]"):
        sweep(stylegan2, z[:, None], directions, STRENGTHS)
    with pytest.raises(UserError, match="needs a key"):
        sweep(stylegan2, codes, directions, STRENGTHS, noise="random")
    with pytest.raises(UserError, match="codes must have the shape"):
        render(stylegan2, z)

"""Steps that no edit touches are rendered once for each code, and nothing else changes."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled, stylegan3_config

from jaxlatent import Directions, programs, sweep
from jaxlatent.edits import moves
from jaxlatent.generators import BigGANConfig, PGGANConfig, StyleGAN1Config, StyleSpace
from jaxlatent.prefix import untouched_steps
from jaxlatent.programs import SweepWork

CONFIGS = {
    "stylegan1": StyleGAN1Config((5, 4, 3), z_dim=6, w_dim=7, mapping_widths=(7,)),
    "stylegan1 growing": StyleGAN1Config(
        (5, 4, 3), z_dim=6, w_dim=7, mapping_widths=(7,), lod=0.5, all_images=True
    ),
    "stylegan2": STYLEGAN2_CONFIG,
    "stylegan2 resnet": replace(STYLEGAN2_CONFIG, architecture="resnet"),
    "stylegan3": stylegan3_config(),
    "pggan": PGGANConfig((4, 3), z_dim=6),
    "biggan": BigGANConfig(6, 3, (8, 8, 8), (True, True), embed_dim=4),
}
LAST = dict.fromkeys(CONFIGS, 5) | {"stylegan3": 2, "pggan": 0, "biggan": 2}
N, STRENGTHS = 3, [-1.0, 0.5, 2.0]


@cache
def made(name):
    return filled(CONFIGS[name])


def codes_of(generator, n=N):
    random = np.random.RandomState(0)
    shape = (n, generator.num_layers, generator.code_dim)
    return jnp.asarray(random.standard_normal(shape), jnp.float32)


def directions_of(generator, **stage):
    random = np.random.RandomState(1)
    vectors = random.standard_normal((2, generator.num_layers, generator.code_dim))
    return Directions.of(vectors.astype(np.float32), **stage)


def both_ways(monkeypatch, *arguments, budget=None, **options):
    """Returns the same sweep with shared steps, in a budget, and without, in none."""
    shared = sweep(*arguments, budget=budget, **options)
    with monkeypatch.context() as patch:
        patch.setattr(programs, "untouched_steps", lambda *_: 0)
        return shared, sweep(*arguments, **options)


def close(ours, theirs):
    assert np.ptp(theirs) > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("name", CONFIGS)
def test_the_steps_before_the_last_layer(name):
    generator = made(name)
    moving = np.zeros((generator.num_layers, generator.code_dim), bool)
    moving[-1] = True
    assert untouched_steps(generator, moving) == LAST[name]
    moving[0] = True
    assert untouched_steps(generator, moving) == 0


def test_no_step_reads_what_does_not_move():
    generator = made("stylegan2")
    moving = np.zeros((generator.num_layers, generator.code_dim), bool)
    assert untouched_steps(generator, moving) == generator.num_steps


@pytest.mark.parametrize("name", ["stylegan1", "stylegan2"])
def test_no_layer_is_rendered_again_before_the_first_that_moves(name):
    generator = made(name)
    for layer in range(generator.num_layers):
        moving = np.zeros((generator.num_layers, generator.code_dim), bool)
        moving[layer] = True
        assert untouched_steps(generator, moving) == layer


@pytest.mark.parametrize("name", CONFIGS)
def test_late_edits_equal_the_plain_way_in_groups(monkeypatch, name):
    generator = made(name)
    label = jnp.array([0, 2, 1]) if generator.num_classes else None
    last = [generator.num_layers - 1]
    arguments = generator, codes_of(generator), directions_of(generator), STRENGTHS
    close(*both_ways(monkeypatch, *arguments, layers=last, label=label, budget=20_000))


@pytest.mark.parametrize("mode", ["relative", "absolute"])
@pytest.mark.parametrize("stage", ["before", "after"])
def test_modes_stages_truncation_and_random_noise(monkeypatch, mode, stage):
    generator = made("stylegan2")
    arguments = generator, codes_of(generator), directions_of(generator), STRENGTHS
    options = {"mode": mode, "stage": stage, "psi": 0.6, "cutoff": 5, "layers": [3, 5]}
    options |= {"noise": "random", "key": jax.random.key(3)}
    close(*both_ways(monkeypatch, *arguments, **options))


@pytest.mark.parametrize("stage", ["before", "after"])
def test_moved_codes_stay_of_their_type(stage):
    generator = made("stylegan2")
    codes, steps = (
        codes_of(generator).astype("bfloat16"),
        moves(generator, directions_of(generator)),
    )
    work = SweepWork(generator, codes, None, None, None, steps, jnp.asarray(STRENGTHS), None)
    assert work.moved(jnp.arange(4), stage, None)[0].dtype == "bfloat16"


def test_channels_of_the_style_space(monkeypatch):
    generator = StyleSpace(made("stylegan2"))
    vectors = np.zeros((2, 1, generator.code_dim), np.float32)
    for row, name in enumerate(("2.conv0.1", "2.torgb.0")):
        vectors[row, 0, generator.channels.index(name)] = 1
    assert untouched_steps(generator, vectors.any(axis=0)) == 3
    arguments = generator, codes_of(generator), Directions.of(vectors), STRENGTHS
    close(*both_ways(monkeypatch, *arguments))


def test_groups_fit_the_budget_and_the_states_are_made_once(monkeypatch):
    generator, rendered = made("stylegan2"), []
    original = programs.sweep_states

    class Counted:
        lower = original.lower

        def __call__(self, work, index, **static):
            if isinstance(index, np.ndarray):  # not while it is traced
                rendered.append(index.tolist())
            return original(work, index, **static)

    monkeypatch.setattr(programs, "sweep_states", Counted())
    arguments = generator, codes_of(generator, 4), directions_of(generator), STRENGTHS
    told = []
    sweep(
        *arguments, layers=[5], budget=12_000,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert len(rendered) > 1
    assert [i for group in rendered for i in group] == [0, 1, 2, 3]
    assert told[-1] == (24, 24)

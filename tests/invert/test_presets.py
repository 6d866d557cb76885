"""Presets hold the published constants, and each makes an image better; pivotal tuning too."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError, prepare
from jaxlatent.invert import (
    PRESETS,
    Downscaled,
    InDomain,
    Perceptual,
    Pixels,
    Schedule,
    Whitened,
    geocross,
    invert,
    noise_correlation,
    preset,
    tune,
)
from jaxlatent.invert.presets import idinvert, pivot

KEY = jax.random.key(0)


def distance(a, b):
    return jnp.abs(a - b).mean((1, 2, 3))


@pytest.fixture(scope="module")
def images(stylegan2):
    w = stylegan2.map(stylegan2.sample_z(jax.random.key(1), 2))
    return stylegan2.synthesize(stylegan2.broadcast(w))


def test_the_projector_of_stylegan2(stylegan2, dcgan):
    recipe = preset("nvidia")(stylegan2, distance)
    assert (recipe.space, recipe.steps, recipe.start) == ("w", 1000, "mean")
    assert recipe.schedule == Schedule(0.1, rise=0.05, fall=0.25, noise=0.05, noise_end=0.75)
    (one, near), (weight, term) = recipe.terms
    assert (one, weight, term) == (1.0, 1e5, noise_correlation)
    assert isinstance(near, Perceptual)
    assert (near.distance, near.side) == (distance, 256)
    assert (recipe.noise, recipe.maps) == ("optimise", None)
    assert (recipe.optimiser, recipe.betas) == ("adam", (0.9, 0.999))
    plain = preset("nvidia")(dcgan, distance)
    assert (plain.noise, len(plain.terms)) == ("const", 1)


def test_the_pivots_of_pti(stylegan2):
    recipe = pivot(stylegan2, distance)
    nvidia = preset("nvidia")(stylegan2, distance)
    assert (recipe.steps, recipe.schedule.rate) == (450, 0.01)
    assert dataclasses.replace(recipe.schedule, rate=0.1) == nvidia.schedule


def test_the_constants_of_the_others(stylegan2):
    recipe = preset("image2stylegan")(stylegan2, distance)
    assert (recipe.space, recipe.steps, recipe.schedule) == ("w+", 5000, Schedule(0.01))
    recipe = idinvert(distance, distance)
    assert (recipe.space, recipe.steps, recipe.schedule) == ("w+", 100, Schedule(0.01))
    assert [weight for weight, _ in recipe.terms] == [1.0, 5e-5, 2.0]
    assert isinstance(recipe.terms[2][1], InDomain)
    chart = Whitened(jnp.zeros(7), jnp.ones(7))
    recipe = preset("pulse")(stylegan2, 8, chart=chart)
    assert recipe.terms == ((100.0, Downscaled(8, 2e-3)), (0.05, geocross))
    assert (recipe.steps, recipe.schedule) == (100, Schedule(0.4, cycle=True))
    assert (recipe.optimiser, recipe.start, recipe.maps) == ("sphere", "sample", 5)
    recipe = preset("glo")(stylegan2, radius=1.0)
    assert (recipe.schedule, recipe.optimiser, recipe.radius) == (Schedule(10.0), "sgd", 1.0)
    assert preset("glo")(stylegan2).radius == pytest.approx(6**0.5)
    for name in ("z-adam", "z-lbfgs"):
        recipe = preset(name)(stylegan2)
        assert (recipe.space, recipe.start, recipe.classes) == ("z", "sample", False)
        assert recipe.restarts > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nvidia", "image2stylegan", "pulse"])
def test_presets_of_w_better_images(stylegan2, images, name):
    if name == "pulse":
        recipe = preset(name)(stylegan2, 8, 30, Whitened.of(stylegan2, 1000))
    else:
        recipe = preset(name)(stylegan2, distance, 30)
    found = invert(stylegan2, images, recipe, KEY)
    assert (found.loss < 0.9 * found.history[0]).all()


@pytest.mark.parametrize("name", ["z-adam", pytest.param("glo", marks=pytest.mark.slow)])
def test_presets_of_z_better_images(dcgan, name):
    images = dcgan.synthesize(dcgan.sample_z(jax.random.key(1), 2)[:, None])
    recipe = preset(name)(dcgan, steps=30)
    if name == "glo":  # whose rate is for its own generators
        recipe = dataclasses.replace(recipe, schedule=Schedule(0.05))
    found = invert(dcgan, images, recipe, KEY)
    assert (found.loss < 0.9 * found.history[0]).all()


@pytest.mark.slow
def test_in_domain_codes_stay_where_the_encoder_says(stylegan2, images):
    def encode(x):
        return jnp.zeros((x.shape[0], 6, 7))

    free = idinvert(encode, lambda x: x, 30)
    free = dataclasses.replace(free, terms=((1.0, Pixels()), (0.0, InDomain(encode))))
    held = dataclasses.replace(free, terms=((1.0, Pixels()), (1e4, InDomain(encode))))
    lengths = [
        np.square(invert(stylegan2, images, recipe, KEY).code).mean() for recipe in (free, held)
    ]
    assert lengths[1] < 0.8 * lengths[0]


def test_there_is_no_such_preset():
    with pytest.raises(UserError, match=f"preset must be one of {', '.join(PRESETS)}, got 'x'"):
        preset("x")


@pytest.mark.slow
def test_tuning_moves_the_weights_towards_each_image(stylegan2, images):
    codes = jnp.broadcast_to(stylegan2.code_mean[None], (2, 6, 7))
    before = distance(stylegan2.synthesize(codes), images)
    told = []
    tuned = tune(
        stylegan2, images, codes, distance, steps=15, rate=0.01, enough=0.0,
        progress=lambda *p: told.append(p),
    )  # fmt: skip
    assert (tuned.distance < 0.9 * before).all()
    assert tuned.steps == (15, 15)
    assert told[-1] == (30, 30)
    for i, generator in enumerate(tuned.generators):
        rendered = generator.synthesize(codes[i : i + 1])
        np.testing.assert_allclose(rendered[0], tuned.images[i], atol=1e-3)
        assert not np.allclose(generator.mapping.w_avg[...], 0)
        np.testing.assert_array_equal(generator.mapping.w_avg[...], stylegan2.mapping.w_avg[...])
    np.testing.assert_allclose(distance(stylegan2.synthesize(codes), images), before)


def test_tuning_ends_where_it_is_enough(stylegan2, images):
    codes = stylegan2.broadcast(stylegan2.map(stylegan2.sample_z(jax.random.key(1), 2)))
    tuned = tune(prepare(stylegan2), images, codes, distance, steps=5)
    assert tuned.steps == (0, 0)
    assert isinstance(tuned.generators[0].blocks[1].conv1.kernel[...], jax.Array)
    np.testing.assert_allclose(tuned.images, images, atol=1e-3)


def test_tuning_of_what_does_not_fit(stylegan2, images, lenient):
    codes = jnp.zeros((2, 6, 7))
    with pytest.raises(UserError, match="a pivot is needed for each of the 2 images, got 1"):
        tune(stylegan2, images, codes[:1], distance)
    with pytest.raises(UserError, match="codes must have the shape"):
        tune(stylegan2, images, codes[:, :2], distance)
    with pytest.raises(UserError, match="steps must be at least 1 and rate positive, got 0 and"):
        tune(stylegan2, images, codes, distance, steps=0)
    with pytest.raises(UserError, match="images must have the shape"):
        tune(stylegan2, images[0], codes, distance)

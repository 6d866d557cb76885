"""Encoders learn a generator's codes, start an inversion, and go on after an interruption."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.directions import Directions
from jaxlatent.edits import Edit, edit
from jaxlatent.find import Training
from jaxlatent.generators import SNGANConfig
from jaxlatent.invert import (
    Recipe,
    Schedule,
    edit_image,
    invert,
    refine,
    resume,
    round_trip,
    train_encoder,
)

KEY = jax.random.key(0)
OTHER = jax.random.key(7)
SOME = Training(150, 16, 3e-3)
FEW = Training(6, 4, 1e-3)


@pytest.fixture(scope="module")
def trained(dcgan):
    return train_encoder(dcgan, KEY, training=SOME, width=16)


def test_codes_are_learned(dcgan, trained):
    report = round_trip(dcgan, trained, OTHER)
    assert report.code < 0.5  # of 1, which the mean alone has
    assert report.pixels < 0.5 * report.constant
    assert trained.history.shape == (150,)
    assert trained.history[-20:].mean() < 0.5 * trained.history[:20].mean()


def test_a_report_is_what_it_says(dcgan, trained):
    report = round_trip(dcgan, trained, OTHER, samples=5)
    z = dcgan.sample_z(OTHER, 5)[:, None]
    images = dcgan.synthesize(z)
    found = trained.encoder(images)
    scale = trained.encoder.deviation[...][None]
    np.testing.assert_allclose(report.code, np.square((found - z) / scale).mean(), rtol=1e-3)
    error = np.square(dcgan.synthesize(found) - images).mean()
    np.testing.assert_allclose(report.pixels, error, rtol=1e-3)
    np.testing.assert_allclose(report.constant, np.var(images, axis=0).mean(), rtol=1e-3)


def test_an_encoder_starts_an_inversion(dcgan, trained):
    images = dcgan.synthesize(dcgan.sample_z(OTHER, 3)[:, None])
    recipe = Recipe("z", 10, Schedule(0.02))
    guess = trained.encoder(images)
    hybrid = invert(dcgan, images, recipe, KEY, codes=guess)
    alone = invert(dcgan, images, recipe, KEY)
    assert (hybrid.loss < alone.loss).all()
    assert (hybrid.loss <= hybrid.history[0]).all()


@pytest.mark.slow
def test_codes_of_w(stylegan2):
    trained = train_encoder(stylegan2, KEY, "w", FEW, width=4, pixels=0.0)
    assert trained.encoder(jnp.zeros((2, 16, 16, 3))).shape == (2, 1, 7)
    assert np.isfinite(round_trip(stylegan2, trained, OTHER, 3).code)


def test_an_interrupted_training_goes_on_bit_for_bit(dcgan, tmp_path, monkeypatch):
    whole = train_encoder(dcgan, KEY, training=FEW, width=4)
    monkeypatch.setattr(resume, "_SECONDS", 0.0)

    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(dcgan, KEY, training=FEW, width=4, folder=tmp_path, progress=stop)
    told = []
    again = train_encoder(
        dcgan, KEY, training=FEW, width=4, folder=tmp_path, progress=lambda *p: told.append(p)
    )
    assert told == [(4, 6), (5, 6), (6, 6)]
    np.testing.assert_array_equal(again.history, whole.history)
    for a, b in zip(jax.tree.leaves(again.encoder), jax.tree.leaves(whole.encoder), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match=r"holds another run \(of other width\)"):
        train_encoder(dcgan, KEY, training=FEW, width=5, folder=tmp_path)


def test_trainings_that_there_are_not(dcgan, fill):
    conditional = fill(SNGANConfig(z_dim=4, bottom_width=2, channels=(4, 3), num_classes=3))
    with pytest.raises(UserError, match="for a generator without classes"):
        train_encoder(conditional, KEY)
    with pytest.raises(UserError, match="space must be one of z, got 'w'"):
        train_encoder(dcgan, KEY, "w")
    with pytest.raises(UserError, match="width must be at least 1 and pixels not negative"):
        train_encoder(dcgan, KEY, width=0)
    with pytest.raises(UserError, match="the loss is not finite from step"):
        train_encoder(dcgan, KEY, training=Training(6, 4, 1e30), width=4)


def test_samples_of_a_report(dcgan, trained):
    with pytest.raises(UserError, match="samples must be at least 2, got 1"):
        round_trip(dcgan, trained, OTHER, 1)


def test_refinement_adds_what_the_encoder_says_of_both(dcgan):
    images = dcgan.synthesize(dcgan.sample_z(KEY, 2)[:, None])
    seen = []

    def encode(both):
        seen.append(both)
        return jnp.full((2, 1, 6), 0.5)

    codes = refine(encode, dcgan.synthesize, images, jnp.zeros((2, 1, 6)), 3)
    np.testing.assert_allclose(codes[:, 0, 0, 0], [0.5, 1.0, 1.5])
    np.testing.assert_array_equal(seen[1][..., :3], images)
    np.testing.assert_allclose(seen[1][..., 3:], dcgan.synthesize(codes[0]), atol=1e-6)
    with pytest.raises(UserError, match="steps must be at least 1, got 0"):
        refine(encode, dcgan.synthesize, images, codes[0], 0)


def test_real_images_are_edited_and_kept_where_asked(dcgan):
    images = np.asarray(dcgan.synthesize(dcgan.sample_z(OTHER, 2)[:, None]))
    directions = Directions.of(jnp.eye(6)[:2, None], space="z")
    move = Edit(directions, [2.0, 0.0])
    recipe = Recipe("z", 30, Schedule(0.1, fall=0.5))
    keep = np.zeros((16, 16), np.float32)
    keep[:, 8:] = 1
    found = edit_image(images, dcgan, move, recipe, KEY, keep=keep)
    expected = edit(dcgan, jnp.asarray(found.inversion.codes), move)
    np.testing.assert_allclose(found.codes, expected)
    np.testing.assert_array_equal(found.images[:, :, 8:], images[:, :, 8:])
    rendered = dcgan.synthesize(expected)
    np.testing.assert_allclose(found.images[:, :, :8], rendered[:, :, :8], atol=1e-5)
    assert np.abs(found.images - found.inversion.images)[:, :, :8].max() > 0.05


@pytest.mark.slow
def test_edits_keep_each_image_s_noise(stylegan2):
    images = stylegan2.synthesize(stylegan2.broadcast(jnp.zeros((2, 7))))
    nothing = Edit(Directions.of(jnp.eye(7)[:1, None], space="w"), [0.0])
    recipe = Recipe("w", 3, Schedule(0.1), noise="optimise")
    found = edit_image(images, stylegan2, nothing, recipe, KEY)
    np.testing.assert_allclose(found.images, found.inversion.images, atol=1e-3)


def test_edits_that_do_not_fit(dcgan, stylegan2, lenient):
    images = jnp.zeros((1, 16, 16, 3))
    recipe = Recipe("w", 3, Schedule(0.1))
    in_z = Edit(Directions.of(jnp.eye(6)[:1, None], space="z"), [1.0])
    with pytest.raises(UserError, match="give directions in w"):
        edit_image(images, stylegan2, in_z, recipe, KEY)
    plain = Recipe("z", 3, Schedule(0.1))
    with pytest.raises(UserError, match="keep must have the shape"):
        edit_image(images, dcgan, in_z, plain, KEY, keep=np.zeros((2, 2)))
    with pytest.raises(UserError, match=r"keep must be in \[0, 1\]"):
        edit_image(images, dcgan, in_z, plain, KEY, keep=np.full((16, 16), 2))

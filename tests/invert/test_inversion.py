"""Inversion: planted truth in every space, independence of batches, restarts, early ends, masks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.generators import SNGANConfig, StyleSpace
from jaxlatent.invert import Pixels, Recipe, Schedule, Whitened, geocross, invert
from jaxlatent.invert.loop import normalised

KEY = jax.random.key(0)
FAST = Schedule(0.1, fall=0.5)
QUICK = Recipe("z", 20, FAST)


def decibels(found, images):
    """Returns how much weaker than the image's own variation the error is."""
    error = np.square(np.asarray(found) - np.asarray(images)).mean((1, 2, 3))
    return 10 * np.log10(np.var(np.asarray(images), axis=(1, 2, 3)) / error)


@pytest.fixture(scope="module")
def faces(dcgan):
    z = dcgan.sample_z(jax.random.key(1), 3)
    return z, dcgan.synthesize(z[:, None])


@pytest.mark.parametrize(
    ("optimiser", "steps"), [("adam", 300), pytest.param("lbfgs", 40, marks=pytest.mark.slow)]
)
def test_codes_of_a_dcgan_come_back(dcgan, faces, optimiser, steps):
    z, images = faces
    recipe = Recipe("z", steps, FAST, optimiser=optimiser, start="sample", restarts=4)
    found = invert(dcgan, images, recipe, KEY)
    np.testing.assert_allclose(found.code[:, 0], z, atol=1e-3)
    np.testing.assert_allclose(found.images, images, atol=1e-3)
    assert (decibels(found.images, images) > 60).all()
    np.testing.assert_array_equal(found.codes, found.code)


@pytest.mark.parametrize(
    "space", [*(pytest.param(space, marks=pytest.mark.slow) for space in ("z", "s", "w+")), "w"]
)
def test_codes_of_a_stylegan2_come_back(stylegan2, space):
    w = stylegan2.map(stylegan2.sample_z(jax.random.key(1), 2))
    codes = stylegan2.broadcast(w)
    if space == "w+":
        codes = codes + 0.3 * jax.random.normal(jax.random.key(2), codes.shape)
    images = stylegan2.synthesize(codes)
    view = StyleSpace(stylegan2) if space == "s" else stylegan2
    recipe = Recipe(space, 300, Schedule(0.05, fall=0.5), start="sample", restarts=4)
    found = invert(view, images, recipe, KEY)
    assert (decibels(found.images, images) > 40).all()
    rows = {"w+": stylegan2.num_layers}
    assert found.code.shape[1] == rows.get(space, 1)
    if space in ("z", "w"):  # as wide as the image tells; several codes of w+ give one image
        np.testing.assert_allclose(found.codes, codes, atol=0.02)
    rendered = view.synthesize(jnp.asarray(found.codes))
    np.testing.assert_allclose(found.images, rendered, atol=2e-3)


@pytest.mark.slow
def test_noise_maps_come_back(stylegan2):
    sides = stylegan2.noise_sides
    planted = [
        normalised(jax.random.normal(jax.random.key(i), (2, side, side)))
        for i, side in enumerate(sides)
    ]
    w = stylegan2.map(stylegan2.sample_z(jax.random.key(1), 2))
    images = stylegan2.synthesize(stylegan2.broadcast(w), planted)
    recipe = Recipe("w", 300, Schedule(0.1, fall=0.7), noise="optimise")
    found = invert(stylegan2, images, recipe, KEY, codes=w)
    fixed = Recipe("w", 300, Schedule(0.1, fall=0.7))
    without = invert(stylegan2, images, fixed, KEY, codes=w)
    assert (decibels(found.images, images) > decibels(without.images, images) + 10).all()
    assert [m.shape for m in found.noise] == [(2, side, side) for side in sides]
    for noise in found.noise:
        np.testing.assert_allclose(noise.mean((1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(noise.std((1, 2)), 1, atol=1e-4)
    rendered = stylegan2.synthesize(jnp.asarray(found.codes), list(map(jnp.asarray, found.noise)))
    np.testing.assert_allclose(found.images, rendered, atol=1e-3)


@pytest.mark.slow
def test_only_the_first_maps_move_if_asked(stylegan2):
    images = stylegan2.synthesize(stylegan2.broadcast(jnp.zeros((1, 7))))
    moved = {}
    for steps in (1, 3):
        recipe = Recipe("w", steps, Schedule(0.1), noise="optimise", maps=2)
        moved[steps] = invert(stylegan2, images, recipe, KEY).noise
    same = [np.array_equal(a, b) for a, b in zip(moved[1], moved[3], strict=True)]
    assert same == [False, False] + [True] * (len(same) - 2)


@pytest.mark.slow
def test_classes_come_back(fill):
    generator = fill(SNGANConfig(z_dim=4, bottom_width=2, channels=(8, 8, 8), num_classes=3))
    z = generator.sample_z(jax.random.key(1), 2)
    planted = jnp.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    images = generator.synthesize(z[:, None], label=planted)
    recipe = Recipe("z", 200, FAST, classes=True)
    found = invert(generator, images, recipe, KEY, codes=z, label=planted * 0.4 + 0.2)
    np.testing.assert_allclose(found.label, planted, atol=0.02)
    given = invert(generator, images, Recipe("z", 2, FAST), KEY, codes=z, label=planted)
    np.testing.assert_allclose(given.loss, 0, atol=1e-9)
    np.testing.assert_array_equal(given.label, planted)
    with pytest.raises(UserError, match="this generator is conditional: give a label"):
        invert(generator, images, QUICK, KEY)


@pytest.mark.parametrize("recipe", [
    Recipe("z", 30, FAST, start="sample"),
    Recipe("z", 30, FAST, start="sample", restarts=2),
])  # fmt: skip
def test_an_image_does_not_know_its_batch(dcgan, faces, recipe):
    _, images = faces
    keys = jax.random.split(KEY, 3)
    together = invert(dcgan, images, recipe, keys)
    for chunk in (1, 2):
        parts = invert(dcgan, images, recipe, keys, chunk=chunk)
        np.testing.assert_allclose(parts.code, together.code, rtol=0, atol=2e-4)
        np.testing.assert_allclose(parts.history, together.history, rtol=1e-3, atol=1e-6)
    for i in range(3):
        alone = invert(dcgan, images[i : i + 1], recipe, keys[i : i + 1])
        np.testing.assert_allclose(alone.code[0], together.code[i], rtol=0, atol=2e-4)


def test_other_images_of_a_batch_change_no_bit(dcgan, faces):
    _, images = faces
    keys = jax.random.split(KEY, 3)
    recipe = Recipe("z", 30, FAST, start="sample")
    found = invert(dcgan, images, recipe, keys)
    others = invert(dcgan, images.at[1:].set(0.3), recipe, keys)
    np.testing.assert_array_equal(others.code[0], found.code[0])
    np.testing.assert_array_equal(others.history[:, 0], found.history[:, 0])
    assert not np.array_equal(others.code[1], found.code[1])


def test_of_restarts_the_best_is_kept(dcgan, faces):
    _, images = faces
    losses = []
    for restarts in (1, 2, 4, 6):
        recipe = Recipe("z", 4, FAST, start="sample", restarts=restarts)
        losses.append(invert(dcgan, images, recipe, KEY).loss)
    losses = np.array(losses)
    assert (losses[1:] <= losses[:-1] * (1 + 1e-5)).all()
    assert (losses[-1] < 0.99 * losses[0]).any()


def test_the_best_step_is_kept(dcgan, faces):
    z, images = faces
    far = Recipe("z", 15, Schedule(3.0))  # so fast that it leaves the truth that it starts from
    found = invert(dcgan, images, far, KEY, codes=z)
    assert found.history.shape == (16, 3)
    np.testing.assert_array_equal(found.loss, found.history.min(0))
    np.testing.assert_array_equal(found.code[:, 0], z)
    assert (found.history[-1] > 1e-3).all()


def test_noise_of_codes_counts_for_nothing(stylegan2):
    w = stylegan2.map(stylegan2.sample_z(jax.random.key(1), 2))
    images = stylegan2.synthesize(stylegan2.broadcast(w))
    recipe = Recipe("w", 20, Schedule(0.05, noise=0.5, noise_end=0.5))
    found = invert(stylegan2, images, recipe, KEY)
    np.testing.assert_array_equal(found.loss, found.history[10:].min(0))
    error = np.square(found.images - images).mean((1, 2, 3))
    np.testing.assert_allclose(found.loss, error, rtol=1e-3)


def test_an_image_that_is_done_stays(dcgan, faces):
    z, images = faces
    starts = z.at[1:].add(0.5)
    recipe = Recipe("z", 25, FAST, enough=1e-4)
    found = invert(dcgan, images, recipe, KEY, codes=starts)
    np.testing.assert_array_equal(found.code[0, 0], z[0])
    assert (found.history[:, 0] == found.history[0, 0]).all()
    assert (found.history[1] != found.history[0])[1:].all()


def test_a_run_whose_images_are_all_done_ends(dcgan, faces):
    z, images = faces
    steps = []
    recipe = Recipe("z", 10_000, FAST, enough=1e-4)
    found = invert(dcgan, images, recipe, KEY, codes=z, progress=lambda *p: steps.append(p))
    assert len(steps) < 30
    assert steps[-1] == (10_000, 10_000)
    assert found.history.shape == (10_001, 3)


def test_masked_pixels_count_for_nothing(dcgan, faces):
    z, images = faces
    mask = np.zeros(images.shape[1:3], np.float32)
    mask[:, : mask.shape[1] // 2] = 1
    broken = jnp.where(jnp.asarray(mask)[None, :, :, None] > 0, images, 1.0)
    found = invert(dcgan, broken, Recipe("z", 60, FAST), KEY, codes=z + 0.1, mask=mask)
    other = invert(dcgan, images, Recipe("z", 60, FAST), KEY, codes=z + 0.1, mask=mask)
    np.testing.assert_array_equal(found.code, other.code)
    whole = invert(dcgan, broken, Recipe("z", 60, FAST), KEY, codes=z + 0.1)
    assert (found.loss < 0.1 * whole.loss).all()
    own = np.stack([mask, np.ones_like(mask), mask])
    mixed = invert(dcgan, broken, Recipe("z", 60, FAST), KEY, codes=z + 0.1, mask=own)
    np.testing.assert_array_equal(mixed.code[[0, 2]], found.code[[0, 2]])
    np.testing.assert_array_equal(mixed.code[1], whole.code[1])


def test_codes_on_a_sphere_keep_their_length(dcgan, faces):
    _, images = faces
    starts = jax.random.normal(KEY, (3, 6))
    recipe = Recipe("z", 20, FAST, optimiser="sphere", start="sample")
    found = invert(dcgan, images, recipe, KEY, codes=starts)
    lengths = np.linalg.norm(found.code[:, 0], axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(starts, axis=1), rtol=1e-5)
    assert (found.loss < found.history[0]).all()


def test_codes_in_a_ball(dcgan, faces):
    _, images = faces
    found = invert(dcgan, images, Recipe("z", 20, FAST, optimiser="sgd", radius=0.1), KEY)
    lengths = np.linalg.norm(found.code[:, 0], axis=1)
    assert (lengths <= 0.1 + 1e-6).all()
    assert lengths.max() > 0.05
    assert (found.loss < found.history[0]).all()


@pytest.mark.slow
def test_codes_of_a_chart(stylegan2):
    chart = Whitened.of(stylegan2, 1000)
    terms = ((1.0, Pixels()), (1e-3, geocross))
    point = jax.random.normal(jax.random.key(4), (2, stylegan2.num_layers, 7))
    images = stylegan2.synthesize(chart(point))
    recipe = Recipe("w+", 40, Schedule(0.1), terms, optimiser="sphere", start="sample", chart=chart)
    found = invert(stylegan2, images, recipe, KEY)
    assert (found.loss < 0.5 * found.history[0]).all()
    np.testing.assert_allclose(
        found.images, stylegan2.synthesize(jnp.asarray(found.codes)), atol=1e-3
    )
    only = dataclasses.replace(recipe, terms=((1.0, Pixels()),))
    again = invert(stylegan2, images, only, KEY, codes=jnp.asarray(chart(point)))
    np.testing.assert_allclose(again.code, chart(point), atol=1e-4)


CHANGES = [
    ({"space": "x"}, "space must be one of z, w, w\\+, s, got 'x'"),
    ({"steps": 0}, "steps must be at least 1, got 0"),
    ({"terms": ()}, "there must be something to minimise"),
    ({"restarts": 2}, "restarts need start='sample'"),
    ({"optimiser": "newton"}, "optimiser must be one of adam, sgd, sphere, lbfgs, got 'newton'"),
    ({"start": "here"}, "start must be one of mean, sample, got 'here'"),
    ({"noise": "loud"}, "noise must be one of const, optimise, none, got 'loud'"),
    ({"radius": 0.0}, "radius must be positive, got 0.0"),
    ({"chart": Whitened(jnp.zeros(2), jnp.ones(2))}, "it goes with space w or w\\+, not z"),
    ({"optimiser": "sphere"}, "a sphere around 0 needs start='sample'"),
    ({"maps": 2}, "maps are optimised with noise='optimise'"),
    ({"optimiser": "lbfgs", "schedule": Schedule(1.0, noise=0.1)}, "lbfgs compares losses"),
    ({"steps": 0, "radius": -1.0}, "steps must .*; radius must"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_impossible_recipes(changes, message, lenient):
    with pytest.raises(UserError, match=message):
        Recipe(**{"space": "z", "steps": 5, "schedule": FAST} | changes)


@pytest.mark.parametrize(("recipe", "message"), [
    (Recipe("w", 5, FAST), "the generator has the spaces z, not w"),
    (Recipe("z", 5, FAST, noise="optimise"), "the generator adds no noise"),
    (Recipe("z", 5, FAST, classes=True), "the generator has no classes"),
])  # fmt: skip
def test_recipes_that_do_not_fit_a_dcgan(dcgan, faces, recipe, message):
    with pytest.raises(UserError, match=message):
        invert(dcgan, faces[1], recipe, KEY)


def test_recipes_that_do_not_fit_a_stylegan2(stylegan2):
    images = jnp.zeros((1, 16, 16, 3))
    for recipe, message in (
        (Recipe("s", 5, FAST), r"StyleSpace\(generator\) has s"),
        (Recipe("w", 5, FAST, noise="optimise", maps=9), "maps must be in 1 to 5, got 9"),
        (
            Recipe("w", 5, FAST, chart=Whitened(jnp.zeros(2), jnp.ones(2))),
            "the chart is of 2 numbers, the generator's w has 7",
        ),
    ):
        with pytest.raises(UserError, match=message):
            invert(stylegan2, images, recipe, KEY)


def test_arguments_that_do_not_fit(dcgan, faces, lenient):
    z, images = faces
    for changes, message in (
        ({"images": images[:, :-1]}, r"images must have the shape \[n, 16, 16, 3\]"),
        ({"images": images[:0]}, "with n of at least 1"),
        ({"images": jnp.zeros(images.shape, jnp.uint8)}, "images must be of a floating type"),
        ({"images": images * jnp.nan}, "images hold numbers that are not finite"),
        ({"label": jnp.zeros(3, int)}, "this generator is not conditional"),
        ({"codes": z[:2]}, r"codes must have the shape \[3, 1, 6\], got \[2, 6\]"),
        ({"mask": np.ones((3, 3))}, r"mask must have the shape \[16, 16\] or \[3, 16, 16\]"),
        ({"mask": np.full((16, 16), 2.0)}, r"mask must be in \[0, 1\]"),
        ({"mask": np.zeros((16, 16))}, "mask must leave something of each image"),
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"key": jax.random.split(KEY, 2)}, "one for each of the 3 samples"),
    ):
        given = {"images": images, "recipe": QUICK, "key": KEY} | changes
        with pytest.raises(UserError, match=message):
            invert(dcgan, **given)
    many = Recipe("z", 5, FAST, start="sample", restarts=2)
    with pytest.raises(UserError, match="codes are one start for each image"):
        invert(dcgan, images, many, KEY, codes=z)


def test_losses_that_are_never_finite(dcgan, faces):
    def odd(view):
        return jnp.where(view.targets.mean((1, 2, 3)) > 5, jnp.nan, 1.0) + view.code.sum((1, 2))

    images = faces[1].at[1].set(9.0)
    with pytest.raises(UserError, match=r"no loss of the images \[1\] was finite"):
        invert(dcgan, images, Recipe("z", 3, FAST, ((1.0, odd),)), KEY)


def test_plain_mistakes_are_told_before_any_work(dcgan, tmp_path):
    images = dcgan.synthesize(dcgan.sample_z(jax.random.key(0), 1)[:, None])
    recipe = Recipe("z", 2, Schedule(0.1))
    with pytest.raises(UserError, match=r"in \[-1, 1\], got 255 to 255"):
        invert(dcgan, jnp.full(images.shape, 255.0), recipe, KEY)
    with pytest.raises(UserError, match="codes hold numbers that are not finite"):
        invert(dcgan, images, recipe, KEY, codes=jnp.full((1, dcgan.z_dim), jnp.nan))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file cannot be written"):
        invert(dcgan, images, recipe, KEY, folder=tmp_path / "file")

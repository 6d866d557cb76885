"""Steerability: transformations, walks that find planted factors, non-linear walks, errors."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted import TINY, Blob, PlantedConfig, codes, cosine

from jaxlatent import UserError
from jaxlatent.edits import Edit, edit
from jaxlatent.find import TRANSFORMS, Training, Transform, nonlinear_steerability, steerability

KEY = jax.random.key(5)
QUICK = Training(steps=120, batch=8, learning_rate=0.05)


@pytest.fixture(scope="module")
def blob():
    return Blob(PlantedConfig(z_dim=6))


@pytest.fixture(scope="module")
def image():
    return jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (2, 6, 8, 3)), jnp.float32)


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_an_amount_of_zero_changes_nothing(name, image):
    moved, mask = TRANSFORMS[name].apply(image, jnp.zeros(2))
    np.testing.assert_allclose(moved, image, atol=1e-5)
    assert mask.shape == (2, 6, 8, 1)
    np.testing.assert_array_equal(mask, 1)


def test_transformations_do_what_they_say(image):
    pixels = np.asarray(image)

    def of(name, *amounts):
        return [np.asarray(part) for part in TRANSFORMS[name].apply(image, jnp.array(amounts))]

    np.testing.assert_allclose(of("brightness", 0.5, -1.0)[0][1], pixels[1] - 1)
    blue = of("blue", 0.5, 0.0)[0]
    np.testing.assert_allclose(blue[0, ..., 2], pixels[0, ..., 2] + 0.5)
    np.testing.assert_array_equal(blue[0, ..., :2], pixels[0, ..., :2])
    right, mask = of("shift right", 0.25, -0.5)  # by 2 and by -4 of 8 pixels
    np.testing.assert_allclose(right[0, :, 2:], pixels[0, :, :-2], atol=1e-6)
    np.testing.assert_allclose(right[1, :, :4], pixels[1, :, 4:], atol=1e-6)
    np.testing.assert_array_equal(mask[0, 0, :, 0], [0, 0, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(mask[1, 0, :, 0], [1, 1, 1, 1, 0, 0, 0, 0])
    down, mask = of("shift down", 0.5, 0.0)
    np.testing.assert_allclose(down[0, 3:], pixels[0, :3], atol=1e-6)
    np.testing.assert_array_equal(mask[0, :, 0, 0], [0, 0, 0, 1, 1, 1])
    turned, mask = of("rotate", math.pi / 2, 0.0)
    np.testing.assert_allclose(turned[0, :, 1:7], np.rot90(pixels[0, :, 1:7]), atol=1e-5)
    np.testing.assert_array_equal(mask[0, 3, :, 0], [0, 1, 1, 1, 1, 1, 1, 0])
    large, mask = of("zoom", math.log(2), -math.log(2))
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (2, 6, 8, 3))
    zoomed = TRANSFORMS["zoom"].apply(ramp, jnp.array([math.log(2), 0.0]))[0]
    np.testing.assert_allclose(zoomed[0, 0, :, 0], 1.75 + np.arange(8) / 2, atol=1e-5)
    assert mask[0].all()
    assert mask[1].sum() == 2 * 4  # a pixel and its neighbours must lie inside
    assert np.abs(large).max() <= 1 + 1e-5


def test_walks_find_the_factors_that_imitate(blob):
    w = codes(blob, 64)
    colour = {"brightness": TRANSFORMS["brightness"], "red": TRANSFORMS["red"]}
    found = steerability(blob, w, colour, key=KEY, training=QUICK)
    bright, red = found[found.index("brightness")], found[found.index("red")]
    assert cosine(bright.vectors, blob.axis("brightness")) > 0.999
    assert cosine(red.vectors, blob.axis("redness")) > 0.999
    np.testing.assert_allclose([bright.scale[0], red.scale[0]], [1 / 0.3, 1 / 0.2], rtol=2e-2)
    assert (np.asarray(found.scores) > 0.99).all()
    moved = blob.synthesize(edit(blob, w, Edit(bright, [0.4])))
    np.testing.assert_allclose(moved, blob.synthesize(w) + 0.4, atol=2e-2)
    alone = steerability(blob, w, ["red"], key=KEY, training=QUICK)
    np.testing.assert_array_equal(alone.vectors[0], red.vectors[0])


@pytest.mark.slow
def test_a_shift_is_imitated_where_pixels_are_known(blob):
    quick = dataclasses.replace(QUICK, steps=200)
    found = steerability(
        blob,
        0.3 * codes(blob, 64),
        {"down": dataclasses.replace(TRANSFORMS["shift down"], low=-0.1, high=0.1)},
        key=KEY,
        training=quick,
    )
    assert cosine(found.vectors, blob.axis("row")) > 0.98
    np.testing.assert_allclose(found.scale, 1 / 0.06, rtol=0.1)
    assert found.scores[0] > 0.9


@pytest.mark.slow
def test_a_nonlinear_walk_goes_both_ways(blob):
    w = codes(blob, 64)
    transform = Transform(TRANSFORMS["brightness"].apply, -0.2, 0.4)
    walk = nonlinear_steerability(
        blob, w, transform, key=KEY, steps=2, keep_norm=False, training=QUICK, hidden=16
    )
    assert walk.share > 0.9
    for steps, amount in ((2, 0.4), (1, 0.2), (-1, -0.1), (-2, -0.2)):
        rise = np.mean(blob.synthesize(walk(w, steps)) - blob.synthesize(w))
        np.testing.assert_allclose(rise, amount, atol=0.03)
    assert (walk.forward, walk.backward) == (0.2, -0.1)
    np.testing.assert_array_equal(walk(w, 0), w)


@pytest.mark.slow
def test_real_generators_keys_layers_and_lengths(fill):
    tiny = fill(dataclasses.replace(TINY, channels=(4, 3)))
    w = codes(tiny, 4)
    brief = Training(steps=3, batch=2)
    found = [
        steerability(tiny, w, ["zoom"], key=key, training=brief, layers=[0, 2], shared=False)
        for key in (KEY, KEY, jax.random.key(6))
    ]
    np.testing.assert_array_equal(found[0].vectors, found[1].vectors)
    assert not np.allclose(found[0].vectors, found[2].vectors, atol=1e-3)
    assert found[0].vectors.shape == (1, 4, 7)
    assert not found[0].vectors[:, [1, 3]].any()
    walk = nonlinear_steerability(tiny, w, "red", key=KEY, training=brief, layers=[1])
    moved = walk(w, -3)
    still = [0, 2, 3]
    np.testing.assert_array_equal(moved[:, still], w[:, still])
    assert not np.allclose(moved[:, 1], w[:, 1], atol=1e-4)
    norms = [np.linalg.norm(c[:, 1], axis=1) for c in (moved, w)]
    np.testing.assert_allclose(*norms, rtol=1e-4)


@pytest.mark.slow
def test_any_distance_does(blob):
    def absolute(a, b):
        return jnp.mean(jnp.abs(a - b), axis=(1, 2, 3))

    found = steerability(blob, codes(blob, 32), ["red"], key=KEY, training=QUICK, distance=absolute)
    assert cosine(found.vectors, blob.axis("redness")) > 0.99


def test_mistakes(blob):
    w = codes(blob, 3)
    with pytest.raises(UserError, match="no transformation 'warp'; there are brightness, red"):
        steerability(blob, w, ["warp"], key=KEY)
    with pytest.raises(UserError, match="give at least one transformation"):
        steerability(blob, w, [], key=KEY)
    with pytest.raises(UserError, match="amounts must lie on either side of 0"):
        Transform(lambda x, a: (x, x), 0.5, 1.0)
    with pytest.raises(UserError, match=r"a transformation of images \[2, 12, 12, 3\] must return"):
        steerability(blob, w, {"odd": Transform(lambda x, a: (x, x), 0.0, 1.0)}, key=KEY)
    with pytest.raises(UserError, match="a distance must return one number for each pair"):
        steerability(blob, w, ["red"], key=KEY, distance=lambda a, b: jnp.mean(a - b))
    with pytest.raises(UserError, match="steps and hidden must be at least 1, got 0 and 6"):
        nonlinear_steerability(blob, w, "red", key=KEY, steps=0)

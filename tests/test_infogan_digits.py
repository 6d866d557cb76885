"""The example that trains an InfoGAN runs, comes out the same twice, and leaves what it says."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxlatent

EXAMPLE = Path(__file__).parents[1] / "examples" / "infogan_digits.py"
STEPS = 2
pytestmark = pytest.mark.slow  # its training compiles for half a minute


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="module")
def trained(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    return folder, script["main"](str(folder), STEPS)


def test_losses_are_finite_and_the_same_twice(script, trained):
    losses = trained[1]["all losses"]
    assert losses.shape == (STEPS, 2)
    assert np.isfinite(losses).all()
    generator, _, again = script["train"](script["digits"]()[0], jax.random.key(0), STEPS)
    np.testing.assert_array_equal(again, losses)
    kept = jaxlatent.load(trained[0] / "model")
    for a, b in zip(jax.tree.leaves(generator), jax.tree.leaves(kept), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_key_trains_another_generator(script, trained):
    _, _, other = script["train"](script["digits"]()[0], jax.random.key(1), STEPS)
    assert not np.array_equal(other, trained[1]["all losses"])


def test_the_bundle_renders_what_training_saw(script, trained):
    generator = jaxlatent.load(trained[0] / "model")
    z = generator.sample_z(jax.random.key(0), 4096)
    own = script["generate"](generator, z)[:8]
    np.testing.assert_allclose(generator.synthesize(z[:8, None]), own, atol=1e-5)


def test_redrawing_slants_and_thickens_as_it_says(script):
    bar = jax.image.resize(jnp.zeros((8, 8)).at[1:7, 3:5].set(1), (32, 32), "cubic")
    bars = jnp.broadcast_to(bar, (400, 32, 32))
    images, changes = script["redraw"](bars, jax.random.key(0))
    ink = np.asarray(images[..., 0] + 1) / 2
    columns = np.arange(16) - 7.5
    places = [(rows * columns).sum((1, 2)) / rows.sum((1, 2)) for rows in (ink[:, :8], ink[:, 8:])]
    assert np.corrcoef(places[0] - places[1], changes[:, 0])[0, 1] > 0.98
    assert np.corrcoef(ink.sum((1, 2)), changes[:, 1])[0, 1] > 0.9


def test_the_picture_shows_all_categories(trained):
    with Image.open(trained[0] / "infogan.jpg") as sheet:
        sheet.load()
        assert min(sheet.size) >= 200
        assert sheet.width > sheet.height

"""StyleSpace: the view renders as its generator, planted channels come first, every error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled, stylegan3_config
from generators.test_conformance import STYLEGAN1_CONFIG
from planted import TINY

from jaxlatent import UserError
from jaxlatent.directions import Directions
from jaxlatent.edits import Edit, edit
from jaxlatent.find import (
    channel_effects,
    channel_statistics,
    local_directions,
    styleclip,
    stylespace,
    stylespace_by_effect,
)
from jaxlatent.generators import StyleSpace
from jaxlatent.sweeps import sweep

CONFIGS = {"1": STYLEGAN1_CONFIG, "2": STYLEGAN2_CONFIG, "3": stylegan3_config((8, 12, 8))}
FIRST = {"1": "0.0", "2": "0.conv1.0", "3": "0.0"}


@pytest.fixture(scope="module", params=list(CONFIGS))
def version(request):
    return request.param


@pytest.fixture(scope="module")
def view():
    return StyleSpace(filled(STYLEGAN2_CONFIG))


@pytest.fixture(scope="module")
def styles(view):
    return jax.jit(lambda v: v.map(v.sample_z(jax.random.key(1), 60))[:, None])(view)


def test_the_view_renders_what_its_generator_renders(version):
    base = filled(CONFIGS[version])
    view = StyleSpace(base)

    @jax.jit
    def both(base, view, z):
        codes = base.truncate(base.broadcast(base.map(z)), 0.5)
        styles = view.truncate(view.broadcast(view.map(z)), 0.5)
        return base.synthesize(codes), view.synthesize(styles), view.to_styles(codes), styles

    z = np.random.RandomState(0).standard_normal((2, 6)).astype(np.float32)
    image, seen, direct, styles = both(base, view, jnp.asarray(z))
    np.testing.assert_allclose(seen, image, rtol=1e-3, atol=1e-4 * np.abs(image).max())
    np.testing.assert_allclose(direct, styles, rtol=1e-4, atol=1e-4)
    assert view.image_shape == base.image_shape
    assert view.channels[0] == FIRST[version]
    assert len(set(view.channels)) == view.code_dim == styles.shape[2]
    assert view.spaces["z"] == (1, 6)


def test_channels_that_only_colour_are_no_feature_channels():
    left_out = {
        "1": [],
        "2": ["0.torgb", "1.torgb", "2.torgb"],
        "3": ["3"],
    }  # the Fourier features are 0
    for version, config in CONFIGS.items():
        view = StyleSpace(filled(config))
        rest = set(range(view.code_dim)) - set(view.feature_channels)
        names = {view.channels[i].rpartition(".")[0] for i in rest}
        assert sorted(names) == left_out[version]


def test_one_channel_moves_one_channel(view, styles):
    """A channel of the last image layer scales one feature's share of the image."""
    name = "2.torgb.1"
    vector = np.zeros((1, 1, view.code_dim), np.float32)
    vector[0, 0, view.channels.index(name)] = 1
    direction = Directions.of(vector).bind(view, space="s")
    images = sweep(view, styles[:2], direction, [0.0, 1.0, 2.0])[:, 0]
    np.testing.assert_allclose(images[:, 2] - images[:, 0], 2 * (images[:, 1] - images[:, 0]),
                               atol=1e-3 * np.abs(images).max())  # fmt: skip
    moved = edit(view, styles[:2], Edit(direction, [1.5]))
    np.testing.assert_allclose((moved - styles[:2])[:, 0], np.tile(1.5 * vector[0], (2, 1)),
                               atol=1e-6)  # fmt: skip
    saved = view.base.blocks[2].torgb.kernel[...]
    features = jax.jit(lambda v, s: v.features(s, 2))(view, styles[:1])[0, ..., 1]
    change = jnp.einsum("hw,c->hwc", features, saved[0, 0, 1] / np.sqrt(3))
    np.testing.assert_allclose(images[0, 1] - images[0, 0], change, atol=2e-3)


def test_statistics_do_not_depend_on_batches(styles):
    whole = channel_statistics(styles)
    parts = channel_statistics(styles[i : i + 7] for i in range(0, 60, 7))
    rows = np.asarray(styles, np.float64)[:, 0]
    for found in (whole, parts):
        assert found.count == 60
        np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-10)
        np.testing.assert_allclose(found.deviation, rows.std(0), rtol=1e-10)


def test_examples_that_are_alike_in_a_channel_point_to_it(view, styles):
    statistics = channel_statistics(styles)
    channel = view.channels.index("1.conv0.2")
    low = statistics.mean[channel] - (2 + 0.01 * np.arange(6)) * statistics.deviation[channel]
    positives = styles[:6].at[:, 0, channel].set(low)
    found = stylespace(view, positives, statistics, 4)
    assert found.names[0] == "1.conv0.2"
    colours = [i for i, name in enumerate(view.channels) if "torgb" in name]
    alike = positives.at[:, 0, colours].set(
        statistics.mean[colours] + 9 * statistics.deviation[colours]
    )
    assert stylespace(view, alike, statistics, 1).names == ("1.conv0.2",)
    every = stylespace(view, alike, statistics, 1, channels=range(view.code_dim))
    assert every.names[0] in [view.channels[i] for i in colours]
    direction = found[found.index("1.conv0.2")]
    assert direction.vectors[0, 0, channel] == -1
    assert (np.diff(found.scores) <= 0).all()
    rows = (np.asarray(positives, np.float64)[:, 0] - statistics.mean) / statistics.deviation
    relevance = np.abs(rows.mean(0)) / rows.std(0)
    ranked = np.sort(relevance[list(view.feature_channels)])[::-1]
    np.testing.assert_allclose(found.scores, ranked[:4], rtol=1e-4)
    np.testing.assert_allclose(direction.scale, statistics.deviation[channel], rtol=1e-6)
    assert found.space == "s"


@pytest.mark.slow
def test_effects_are_measured_by_rendering(view, styles):
    statistics = channel_statistics(styles)
    codes, channels = styles[:3], [4, view.code_dim - 1]
    render = jax.jit(lambda v, c, step: v.synthesize(c + step))

    def red(images):
        return np.asarray(images)[..., 0].mean(axis=(1, 2))

    effects = channel_effects(view, codes, red, statistics, channels=channels, amount=2.0, chunk=5)
    for channel in channels:
        step = np.zeros(view.code_dim, np.float32)
        step[channel] = 2 * statistics.deviation[channel]
        ends = [red(render(view, codes, s * step[None, None])) for s in (-1, 1)]
        np.testing.assert_allclose(effects[channel], (ends[1] - ends[0]).mean() / 4, rtol=1e-3)
    assert np.count_nonzero(effects) == 2
    other = channel_effects(view, codes, red, statistics, channels=channels, amount=2.0, chunk=8)
    rounding = 5e-7  # of float32 pixels near 1, whose differences these are
    np.testing.assert_allclose(effects, other, rtol=1e-4, atol=rounding)


def test_effects_rank_and_combine(view):
    width = view.code_dim
    population = np.random.RandomState(0).standard_normal((50, 1, width)) * np.arange(1, width + 1)
    statistics = channel_statistics(population)
    effects = np.zeros(width)
    effects[[3, 7, 9]] = 0.5, -2.0, 0.01
    found = stylespace_by_effect(view, effects, statistics, 2)
    assert found.names == (view.channels[7], view.channels[3])
    np.testing.assert_array_equal(found.vectors[[0, 1], 0, [7, 3]], [-1, 1])
    np.testing.assert_allclose(found.scores, [2, 0.5])
    walk = styleclip(view, effects, statistics, 0.1, name="smile")
    expected = np.zeros(width)
    expected[[3, 7]] = 0.25 * statistics.deviation[3], -statistics.deviation[7]
    np.testing.assert_allclose(walk.vectors[0, 0] * walk.scale, expected, rtol=1e-5)
    assert walk.names == ("smile",)


def test_other_finders_work_in_s():
    view = StyleSpace(filled(TINY))
    found = local_directions(view, jnp.ones((1, 1, view.code_dim)), 2)
    assert (found.space, found.vectors.shape) == ("s", (2, 1, view.code_dim))


@pytest.mark.usefixtures("lenient")
def test_mistakes(view, styles, dcgan):
    statistics = channel_statistics(styles)
    width = view.code_dim
    with pytest.raises(UserError, match="only a StyleGAN has styles, not a DCGAN"):
        StyleSpace(dcgan)
    with pytest.raises(UserError, match="styles are read by no matrix"):
        view.affines()
    with pytest.raises(UserError, match="at least two codes are needed for statistics, got 1"):
        channel_statistics(styles[:1])
    for wrong in (styles[:, 0], [styles, styles[:, :, 1:]]):
        with pytest.raises(UserError, match=r"styles must be \[n, 1, channels\]"):
            channel_statistics(wrong)
    with pytest.raises(UserError, match="two or more examples are needed, got 1"):
        stylespace(view, styles[:1], statistics, 1)
    with pytest.raises(UserError, match="examples hold numbers that are not finite"):
        stylespace(view, styles.at[0, 0, 0].set(np.nan), statistics, 1)
    for k in (0, width):
        with pytest.raises(UserError, match=rf"k must be in 1 to \d+, got {k}"):
            stylespace(view, styles, statistics, k)
    for channels in ([], [-1], [width], [0.5]):
        with pytest.raises(UserError, match=f"channels must be in 0 to {width - 1}, got"):
            stylespace(view, styles, statistics, 1, channels=channels)
    with pytest.raises(UserError, match=f"statistics of {width} channels are needed"):
        stylespace(view, styles, channel_statistics(np.zeros((2, 1, 3))), 1)
    with pytest.raises(
        UserError, match=r"amount must be positive, got 0.0; chunk must be .*; channels"
    ):
        channel_effects(view, styles, np.mean, statistics, amount=0.0, chunk=0, channels=[width])
    with pytest.raises(UserError, match=r"for 32 images it returned the shape \[\]"):
        channel_effects(view, styles[:1], np.mean, statistics, channels=[0])
    with pytest.raises(UserError, match="finite effects are needed"):
        stylespace_by_effect(view, np.full(width, np.nan), statistics, 1)
    with pytest.raises(UserError, match=r"reaches the threshold 3\.0; the largest is 1"):
        styleclip(view, np.ones(width), statistics, 3.0)

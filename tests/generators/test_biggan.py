"""BigGAN's own: parts of z, classes, truncation's statistics, attention's place, configs."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import filled

from jaxlatent import Directions, Edit, UserError, edit, sweep
from jaxlatent.bundle import load, save
from jaxlatent.find import sefa
from jaxlatent.generators import BigGANConfig
from jaxlatent.generators.biggan_blocks import Norm, Table, statistics_rows
from jaxlatent.parameters import reconfigured
from jaxlatent.spaces import to_codes

CONFIG = BigGANConfig(
    z_dim=6, num_classes=3, channels=(8, 8, 8), upsamples=(True, False), embed_dim=4,
    bottom_width=2,
)  # fmt: skip
DEEP = dataclasses.replace(CONFIG, deep=True, num_stats=3, truncation=0.5)
LABEL = jnp.array([0, 2])


@pytest.fixture(scope="module", params=["parts", "deep"])
def generator(request):
    return filled({"parts": CONFIG, "deep": DEEP}[request.param])


@pytest.fixture(scope="module")
def z(generator):
    return generator.sample_z(jax.random.key(0), 2)


@jax.jit
def synthesize(generator, codes, label=LABEL):
    return generator.synthesize(codes, label=label)


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_layers_read_parts_of_z_or_all_of_it(generator, z):
    codes = generator.broadcast(generator.map(z, LABEL))
    if generator.config.deep:
        assert generator.spaces == {"z": (1, 6), "z+": (3, 6)}
        np.testing.assert_array_equal(codes, jnp.stack([z] * 3, axis=1))
    else:
        assert generator.spaces == {"z": (1, 6), "z+": (3, 2)}
        np.testing.assert_array_equal(codes.reshape(2, 6), z)
    np.testing.assert_array_equal(to_codes(generator, z, "z", LABEL), codes)
    np.testing.assert_array_equal(to_codes(generator, codes, "z+"), codes)


def test_directions_in_z_equal_those_in_parts_of_z(generator, z):
    codes = generator.broadcast(z)
    along = jnp.asarray(np.random.RandomState(0).standard_normal((2, 1, 6)), jnp.float32)
    whole = Directions.of(along, space="z")
    parts = Directions.of(generator.broadcast(along[:, 0]), space="z+")
    moved = edit(generator, codes, Edit(parts, [0.5, -1.0]))
    close(moved, generator.broadcast(z + 0.5 * along[0] - along[1]))
    close(edit(generator, z[:, None], Edit(whole, [0.5, -1.0]))[:, 0].reshape(2, 6),
          z + 0.5 * along[0] - along[1])  # fmt: skip
    images = [
        sweep(generator, start, directions, [-1.0, 1.0], label=LABEL)
        for start, directions in ((z[:, None], whole), (codes, parts))
    ]
    close(*images)
    close(images[0][:, 1, 1], synthesize(generator, generator.broadcast(z + along[1])))


def test_sefa_finds_directions_in_the_layers_parts(generator):
    bound = sefa(generator.affines([1, 2]), 2).bind(generator, [1, 2])
    assert bound.space == "z+"
    assert bound.vectors.shape == (2, 1, generator.code_dim)
    rows = generator.affines([1])[0]
    step = 1e-3 * bound.vectors[0, 0]
    norms = generator.blocks[0].norms
    condition = jnp.zeros((1, norms[0].gain.shape[0]))
    there = condition.at[:, : generator.code_dim].set(step)
    change = [there @ m[...] for norm in norms for m in (norm.gain, norm.bias)]
    close(1e3 * jnp.concatenate(change, axis=1)[0], 1e3 * rows @ step)


def test_labels_mix_embeddings(generator, z):
    codes = generator.broadcast(z)
    classes = jnp.eye(3)[LABEL]
    close(synthesize(generator, codes, LABEL), synthesize(generator, codes, classes))
    mixed = jnp.array([[0.25, 0.0, 0.75]])
    table = generator.embedding[...]
    close(generator.embed(mixed, 1)[0], 0.25 * table[0] + 0.75 * table[2])
    with pytest.raises(UserError, match="conditional: give a label"):
        generator.synthesize(codes)
    with pytest.raises(UserError, match=r"labels must be in 0 to 2, got \[0, 3\]"):
        generator.synthesize(codes, label=jnp.array([0, 3]))


def test_a_scale_for_each_class_is_what_norms_read():
    """Without a shared embedding a soft label mixes the classes' scales and biases."""
    generator = filled(dataclasses.replace(CONFIG, hierarchical=False, embed_dim=0))
    assert generator.spaces == {"z": (1, 6)}
    weights = jnp.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(generator.embed(weights, 2), weights)
    inputs = generator.prepare(jnp.ones((2, 1, 6)), label=weights)
    assert [a.shape for a in inputs] == [(2, 6), (2, 3), (2, 3)]


@pytest.mark.parametrize(
    ("truncation", "num_stats", "rows"),
    [
        (0.02, 51, {1: 1}),
        (0.4, 51, {20: 1}),
        (1.0, 51, {50: 1}),
        (1.0, 50, {49: 1}),  # where the original reads beyond its table
        (0.999, 51, {49: 0.95, 50: 0.05}),  # the nearer row weighs less, as in the original
        (0.005, 51, {0: 0.25, 1: 0.75}),
    ],
)
def test_statistics_rows(truncation, num_stats, rows):
    assert dict(statistics_rows(truncation, num_stats)) == pytest.approx(rows)


@pytest.mark.parametrize(
    ("num_stats", "above", "below"),
    [(51, (0.14,), (0.58,)), (21, (0.15, 0.3, 0.35, 0.6, 0.7), (0.95,))],
)
def test_rounding_of_float64_decides_between_rows(num_stats, above, below):
    """Just above a row all weight is the next one's; just below one, it is the row before's."""
    for truncation in (*above, *below):
        weights = dict(statistics_rows(truncation, num_stats))
        row = max(weights, key=weights.__getitem__)
        exact = round(truncation * (num_stats - 1))
        quotient = truncation / (1.0 / (num_stats - 1))
        assert math.modf(quotient)[0], "rounded off the grid"
        assert row == (exact + 1 if quotient > exact else exact - 1)


def test_the_statistics_of_a_truncation():
    norm = Norm(2, Table(3, statistics_rows(0.4, 3), 0.25))
    norm.statistics.mean[...] = jnp.array([[0.0, 0.0], [1.0, 2.0], [9.0, 9.0]])
    norm.statistics.variance[...] = jnp.array([[1.0, 4.0], [2.0, 3.0], [9.0, 9.0]])
    x = jnp.ones((1, 1, 1, 2))
    mean = np.array([0.2 * 1.0, 0.2 * 2.0])  # row 0 weighs 0.8
    variance = np.array([0.8 * 1 + 0.2 * 2, 0.8 * 4 + 0.2 * 3])
    close(norm(x)[0, 0, 0], (1 - mean) / np.sqrt(variance + 0.25))


def test_truncation_is_changed_without_new_weights():
    deep = filled(DEEP)
    codes = deep.broadcast(deep.sample_z(jax.random.key(0), 2))
    other = reconfigured(deep, truncation=0.4)
    again = reconfigured(other, truncation=0.5)
    np.testing.assert_array_equal(synthesize(deep, codes), synthesize(again, codes))
    assert float(jnp.abs(synthesize(deep, codes) - synthesize(other, codes)).max()) > 1e-3


def test_z_is_cut_off_where_the_config_says():
    deep = filled(dataclasses.replace(DEEP, z_bound=0.5))
    z = deep.sample_z(jax.random.key(0), 200)
    assert 0.45 < float(jnp.abs(z).max()) <= 0.5


def test_blocks_are_the_first_layer_residual_blocks_and_attention():
    places = dataclasses.replace(CONFIG, attention=(0, 2))
    assert places.sequence() == [("attention", 0), ("block", 0), ("block", 1), ("attention", 1)]
    generator = filled(places)
    codes = generator.broadcast(jnp.ones((2, 6)))
    assert generator.num_blocks == 5
    first = generator.features(codes, 0, label=LABEL)
    close(first.reshape(2, -1), generator.first(codes[:, 0]))
    close(generator.features(codes, 1, label=LABEL), generator.attentions[0](first))


def test_a_bundle_keeps_the_config(tmp_path):
    deep = filled(DEEP)
    save(deep, tmp_path / "bundle")
    assert load(tmp_path / "bundle").config == DEEP


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (8, 8)}, "2 blocks needs 3 numbers of channels"),
        ({"channels": (8,), "upsamples": ()}, "at least one block"),
        ({"upsamples": (False,) * 64, "channels": (8,) * 65}, "at most 63 blocks"),
        ({"num_classes": 0}, "at least 1"),
        ({"z_dim": 7}, "z_dim = 7 must be a multiple of the 3 layers"),
        ({"embed_dim": 0}, "need a class embedding"),
        ({"deep": True, "hierarchical": False}, "every layer of a BigGAN-deep reads z"),
        ({"deep": True, "channels": (8, 8, 16)}, "adds none"),
        ({"attention": (3,)}, "increasing numbers in 0 to 2"),
        ({"attention": (1, 1)}, "increasing"),
        ({"attention": (2,), "channels": (8, 8, 4)}, "at least 8 channels"),
        ({"attention": (0,), "bottom_width": 1}, "at least 2x2"),
        ({"bottom_width": 1 << 14}, "side of 16384 at most"),
        ({"norm_epsilon": -1.0}, "epsilons must be in"),
        ({"truncation": 0.0}, r"in \(0, 1\]"),
        ({"truncation": 0.5}, "one set of statistics"),
        ({"z_bound": 0.0}, "z_bound must be positive"),
    ],
)
def test_impossible_configs(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **changes)

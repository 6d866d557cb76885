"""What every generator must do; a new family joins with one line in the table."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, STYLEGAN2_CONFIG, filled, stylegan3_config

from jaxlatent import UserError, prepare
from jaxlatent.find import sefa
from jaxlatent.generators import (
    BigGANConfig,
    InfoGANConfig,
    PGGANConfig,
    SNGANConfig,
    StyleGAN1Config,
    winograd,
)
from jaxlatent.parameters import cast, parameters

PGGAN_CONFIG = PGGANConfig((4, 3), z_dim=6)
STYLEGAN1_CONFIG = StyleGAN1Config(
    (4, 3), z_dim=6, w_dim=7, mapping_widths=(8, 7), mapping_lr_multiplier=0.1
)


BIGGAN_CONFIG = BigGANConfig(
    z_dim=6,
    num_classes=3,
    channels=(16, 8, 8),
    upsamples=(True, True),
    embed_dim=4,
    attention=(1,),
    bottom_width=2,
)

SNGAN_CONFIG = SNGANConfig(z_dim=6, bottom_width=3, channels=(8, 8, 8))

CONFIGS = {
    "biggan": BIGGAN_CONFIG,
    "biggan deep, truncated": dataclasses.replace(
        BIGGAN_CONFIG,
        deep=True,
        channels=(16, 8),
        upsamples=(True,),
        num_stats=5,
        truncation=0.4,
        z_bound=2.0,
        image_channels=1,
    ),
    "dcgan": DCGAN_CONFIG,
    "pggan, growing": dataclasses.replace(PGGAN_CONFIG, lod=0.4, output_activation="tanh"),
    "stylegan1, growing, classes, a w for each layer": dataclasses.replace(
        STYLEGAN1_CONFIG, lod=0.4, c_dim=3, embed_dim=4, w_per_layer=True, mapping_widths=(28,)
    ),
    "infogan": InfoGANConfig(
        **dataclasses.asdict(DCGAN_CONFIG) | {"z_dim": 46},
        num_noise=40,
        categorical=(3, 2),
        num_continuous=1,
    ),
    "sngan, sigmoid": dataclasses.replace(
        SNGAN_CONFIG, channels=(5, 4), output_activation="sigmoid"
    ),
    "sagan": dataclasses.replace(SNGAN_CONFIG, num_classes=3, attention=0),
    "stylegan2": STYLEGAN2_CONFIG,
    "stylegan2 resnet, classes, clamp": dataclasses.replace(
        STYLEGAN2_CONFIG, architecture="resnet", c_dim=3, embed_dim=4, conv_clamp=2.0
    ),
    "stylegan3-t": stylegan3_config(),
    "stylegan3-r, classes": dataclasses.replace(
        stylegan3_config(kernel=1, radial=True), c_dim=3, embed_dim=4
    ),
}
VARIANTS = {  # of families that stand above; behind the mark "slow", which CI runs too
    "biggan, a scale for each class": dataclasses.replace(
        BIGGAN_CONFIG, hierarchical=False, embed_dim=0, attention=()
    ),
    "dcgan sigmoid": dataclasses.replace(DCGAN_CONFIG, output_activation="sigmoid"),
    "pggan": PGGAN_CONFIG,
    "stylegan1": STYLEGAN1_CONFIG,
    "stylegan2 joint labels": dataclasses.replace(
        STYLEGAN2_CONFIG, channels=(4, 3), c_dim=3, embed_dim=4, label_norm="joint"
    ),
    "stylegan2 orig, silent, gray": dataclasses.replace(
        STYLEGAN2_CONFIG, architecture="orig", use_noise=False, img_channels=1
    ),
}
N = 3


@pytest.fixture(
    scope="module",
    params=[*CONFIGS, *(pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS)],
)
def generator(request):
    return filled((CONFIGS | VARIANTS)[request.param])


@pytest.fixture(scope="module")
def label(generator):
    return jnp.arange(N) % generator.num_classes if generator.num_classes else None


@pytest.fixture(scope="module")
def codes(generator, label):
    z = generator.sample_z(jax.random.key(0), N)
    return generator.broadcast(generator.map(z, label))


def weights(label, generator):
    return None if label is None else jax.nn.one_hot(label, generator.num_classes)


@jax.jit
def synthesize(generator, codes, label=None):
    return generator.synthesize(codes, label=label)


def test_shapes(generator, codes, label):
    assert codes.shape == (N, generator.num_layers, generator.code_dim)
    assert synthesize(generator, codes, label).shape == (N, *generator.image_shape)
    for layers, width in generator.spaces.values():
        assert layers in (1, generator.num_layers)
        assert width in (generator.z_dim, generator.code_dim)
    assert synthesize.eval_shape(
        generator, codes[:0], None if label is None else label[:0]
    ).shape == (0, *generator.image_shape)
    assert hash(generator.config) == hash(dataclasses.replace(generator.config))


@pytest.mark.slow
def test_jit_equals_eager(generator, codes, label):
    np.testing.assert_allclose(
        synthesize(generator, codes, label),
        generator.synthesize(codes, label=label),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_sample_does_not_depend_on_its_batch(generator, codes, label):
    whole = synthesize(generator, codes, label)
    for i in range(N):
        own = None if label is None else label[i : i + 1]
        alone = synthesize(generator, codes[i : i + 1], own)[0]
        np.testing.assert_allclose(alone, whole[i], rtol=1e-4, atol=1e-4)


def test_vmap(generator, codes, label):
    axes = (None, 0, None if label is None else 0)
    single = jax.vmap(
        lambda g, c, y: g.synthesize(c[None], label=None if y is None else y[None])[0], axes
    )
    np.testing.assert_allclose(
        jax.jit(single)(generator, codes, label),
        synthesize(generator, codes, label),
        rtol=1e-4,
        atol=1e-4,
    )


def test_labels_may_be_numbers_or_weights(generator, codes, label):
    if label is None:
        return
    one_hot = weights(label, generator)
    z = generator.sample_z(jax.random.key(0), N)
    for own, same in ((label, one_hot), (one_hot, one_hot)):
        np.testing.assert_allclose(generator.map(z, own), generator.map(z, same), atol=1e-5)
        np.testing.assert_allclose(
            synthesize(generator, codes, own), synthesize(generator, codes, same), atol=1e-5
        )
    mixed = (one_hot + jnp.roll(one_hot, 1, axis=1)) / 2
    between = [
        synthesize(generator, generator.broadcast(generator.map(z, y)), y) for y in (one_hot, mixed)
    ]
    assert float(jnp.abs(between[0] - between[1]).max()) > 1e-3, "classes matter"


def test_gradients_by_codes_and_by_parameters(generator, codes, label):
    @jax.jit
    def loss(generator, codes):
        return jnp.mean(jnp.square(generator.synthesize(codes, label=label)))

    by_weights, by_codes = jax.jit(jax.grad(loss, argnums=(0, 1)))(generator, codes)
    assert jnp.isfinite(by_codes).all()
    assert (jnp.abs(by_codes).sum(axis=(0, 2)) > 0).all(), "every layer's code matters"
    step = 1e-2 * by_codes / jnp.linalg.norm(by_codes)
    slope = (loss(generator, codes + step) - loss(generator, codes - step)) / 2
    np.testing.assert_allclose(slope, jnp.vdot(by_codes, step), rtol=0.05)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(by_weights))


def test_bfloat16_codes_compute_in_bfloat16(generator, codes, label):
    images = synthesize(generator, codes.astype(jnp.bfloat16), label)
    assert images.dtype == jnp.bfloat16
    exact = synthesize(generator, codes, label)
    difference = jnp.abs(images.astype(jnp.float32) - exact)
    assert float(jnp.mean(difference)) < 0.1 * float(jnp.std(exact))


def test_prepared_it_renders_the_same(generator, codes, label, monkeypatch):
    for limit in ("_FEWEST", "_MANY", "_SMALLEST"):
        monkeypatch.setattr(winograd, limit, 1)
    images, same = (synthesize(g, codes, label) for g in (generator, prepare(generator)))
    np.testing.assert_allclose(same, images, atol=1e-5 * float(np.abs(images).max()))


def test_weights_are_arguments_not_constants(generator, codes, label):
    """The program of another generator of the same config is the same text."""
    other = filled(generator.config, seed=1)
    text, again = (synthesize.lower(g, codes, label).as_text() for g in (generator, other))
    assert text == again
    assert "feature_group_count = 1" in text
    assert text.count("feature_group_count =") == text.count("feature_group_count = 1")


def test_features_are_those_that_make_the_image(generator, codes, label):
    @jax.jit
    def every(generator, codes, label):
        blocks = range(generator.num_blocks)
        return [generator.features(codes, b, label=label) for b in blocks]

    features = every(generator, codes, label)
    assert all(f.ndim == 4 and len(f) == N for f in features)
    assert features[-1].shape[1:3] == generator.image_shape[:2]
    sides = [f.shape[1] for f in features]
    # it grows to the image's side, or has a margin around the image that is cropped at last
    assert sides == sorted(sides) or min(sides) == generator.image_shape[0]
    for wrong in (-1, generator.num_blocks):
        with pytest.raises(UserError, match="block must be in"):
            generator.features(codes, wrong, label=label)


def test_export_lowers_for_every_platform(generator, codes, label):
    (n,) = jax.export.symbolic_shape("n")
    shapes = [
        None if a is None else jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype)
        for a in (codes, weights(label, generator))
    ]
    program = jax.jit(lambda codes, label: generator.synthesize(codes, label=label))
    exported = jax.export.export(program, platforms=("cpu", "cuda", "tpu"))(*shapes)
    assert str(exported.out_avals[0].shape) == str((n, *generator.image_shape))


def test_half_precision_parameters(generator, codes, label):
    for dtype in ("bfloat16", "float16"):
        half = cast(generator, dtype)
        kinds = {a.dtype.name for a in parameters(half).values()}
        assert dtype in kinds <= {dtype, "float32"}
        assert sefa(half.affines(), 1).vectors.dtype == jnp.float32
        images = synthesize(half, codes, label)
        assert images.dtype == jnp.float32, "computed in the type of the codes"
        exact = synthesize(generator, codes, label)
        assert float(jnp.mean(jnp.abs(images - exact))) < 0.05 * float(jnp.std(exact))
        same = synthesize(cast(half, "float32"), codes, label)
        np.testing.assert_allclose(images, same, atol=2e-5 * float(jnp.abs(same).max()))


def test_truncation_moves_towards_the_mean(generator, codes):
    mean = jnp.broadcast_to(generator.code_mean[None], codes.shape)
    np.testing.assert_allclose(generator.truncate(codes, 0.0), mean, atol=1e-6)
    np.testing.assert_allclose(generator.truncate(codes, 1.0), codes, atol=1e-5)
    cut = generator.truncate(codes, 0.5, cutoff=1)
    np.testing.assert_allclose(cut[:, 0], (codes + mean)[:, 0] / 2, atol=1e-5)
    np.testing.assert_array_equal(cut[:, 1:], codes[:, 1:])


def test_samples_depend_on_seed_and_index_only(generator):
    key = jax.random.key(5)
    many = generator.sample_z(key, 7)
    np.testing.assert_array_equal(generator.sample_z(key, 3), many[:3])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(2, 5))
    np.testing.assert_array_equal(generator.sample_z(keys, 3), many[2:5])
    np.testing.assert_array_equal(generator.sample_z(jax.random.PRNGKey(5), 7), many)
    bounded = getattr(generator.config, "z_bound", None) == 2  # a normal cut off at 2 varies less
    expected = 0.88 if bounded else 1.0
    assert abs(float(jnp.std(generator.sample_z(key, 2000))) - expected) < 0.05


def test_affines_have_the_width_of_a_code(generator):
    matrices = generator.affines()
    assert len(matrices) == generator.num_layers
    assert all(a.shape[1] == generator.code_dim for a in matrices)
    last = generator.affines([generator.num_layers - 1])
    np.testing.assert_array_equal(last[0], matrices[-1])


@pytest.mark.usefixtures("lenient")
def test_mistakes_are_told(generator, codes, label):
    n, layers, width = codes.shape
    z = generator.sample_z(jax.random.key(0), n)
    mapped = generator.map(z, label).shape[1]
    with pytest.raises(UserError, match=rf"\[n, {layers}, {width}\]"):
        generator.synthesize(codes[:, 0])
    with pytest.raises(UserError, match=rf"\[n, ({mapped}|{width})\]"):
        generator.broadcast(codes)
    with pytest.raises(UserError, match=rf"\[n, {generator.z_dim}\]"):
        generator.map(jnp.zeros((n, generator.z_dim + 1)))
    with pytest.raises(UserError, match="cutoff must be in"):
        generator.truncate(codes, 0.5, cutoff=layers + 1)
    with pytest.raises(UserError, match="layers must be in"):
        generator.affines([layers])
    with pytest.raises(UserError, match="layers must be in"):
        generator.affines([])
    with pytest.raises(UserError, match="must not be negative"):
        generator.sample_z(jax.random.key(0), -1)
    with pytest.raises(UserError, match="one key, or one for each"):
        generator.sample_z(jax.random.split(jax.random.key(0), 4), 3)
    for call in (generator.synthesize, lambda c: generator.truncate(c, 0.5)):
        with pytest.raises(UserError, match="codes must be of a floating type, got int32"):
            call(jnp.ones((n, layers, width), jnp.int32))
    with pytest.raises(UserError, match="z must be of a floating type"):
        generator.map(jnp.ones((n, generator.z_dim), jnp.int32))
    with pytest.raises(UserError, match="w must be of a floating type"):
        generator.broadcast(jnp.ones((n, mapped), jnp.int32))
    with pytest.raises(UserError, match="noise must be const, none, random or maps"):
        generator.synthesize(codes, noise="loud", label=label)
    if not generator.num_classes:
        with pytest.raises(UserError, match="not conditional"):
            generator.map(z, jnp.zeros(n, jnp.int32))

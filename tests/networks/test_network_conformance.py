"""What every network that is no generator must do; a new family joins with one line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent
from jaxlatent import UserError
from jaxlatent.generators import StyleGAN2Config
from jaxlatent.networks import (
    AttributesConfig,
    Category,
    EncoderConfig,
    LPIPSConfig,
    ResNetConfig,
    TrunkConfig,
)
from jaxlatent.parameters import build, fingerprint, parameter_shapes

DECODER = StyleGAN2Config((4, 3), z_dim=5, w_dim=6, mapping_widths=(6,), mapping_lr_multiplier=0.1)
SQUEEZE = TrunkConfig("squeezenet1_1", (6, *(4, 5, 4) * 8))
ENCODER = EncoderConfig("e4e", 4, 6, (1, 1, 1, 1), (16, 16, 17, 18), decoder=DECODER)
HAT = Category("hat", ("none", "cap", "crown"), 1.5)
CASES = {  # a config, how to call its network, the sides of its images
    "resnet": (ResNetConfig(5, (1, 1), (4, 5), (8, 9), 6), lambda m, x: m(x), (33, 40)),
    "trunk": (SQUEEZE, lambda m, x: m(x), (36, 33)),
    "lpips": (
        LPIPSConfig(TrunkConfig("alexnet", (4, 5, 6, 5, 4))),
        lambda m, x: m(x, x[:, ::-1]),
        (63, 64),
    ),
    "attributes": (
        AttributesConfig((HAT,), (), (4, 5), 1, side=16),
        lambda m, x: m.scores(x),
        (16, 16),
    ),
    "encoder": (ENCODER, lambda m, x: m.encode(x), (32, 48)),
}
N = 2


def filled(config, seed=0):
    """Builds a network with random parameters that keep the size of activations."""
    random = np.random.RandomState(seed)
    arrays = {}
    for name, shape in parameter_shapes(config).items():
        array = random.standard_normal(shape).astype(np.float32)
        if name.endswith("kernel"):
            array *= np.float32(1.5 / np.sqrt(np.prod(shape[:3])))
        elif name.endswith(("variance", "scale")):
            array = 1 + 0.1 * np.abs(array)
        elif not name.endswith("weight"):
            array = 0.3 + 0.1 * array
        arrays[name] = array
    return build(config, arrays)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    config, call, sides = CASES[request.param]
    images = np.random.RandomState(1).uniform(-1, 1, (N, *sides, 3)).astype(np.float32)
    return filled(config), jax.jit(call), call, jnp.asarray(images)


@pytest.fixture(scope="module")
def output(case):
    model, run, _, images = case
    return run(model, images)


def close(a, b, tolerance=1e-4):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.abs(b).max()))


def test_outputs_and_configs(case, output):
    model, _, _, _ = case
    assert output.shape[0] == N
    assert float(jnp.std(output)) > 0
    assert hash(model.config) == hash(dataclasses.replace(model.config))


def test_jit_equals_eager(case, output):
    model, _, call, images = case
    close(call(model, images), output)


def test_a_sample_does_not_depend_on_its_batch(case, output):
    model, run, _, images = case
    close(run(model, images[1:])[0], output[1])


def test_vmap(case, output):
    model, _, call, images = case
    single = jax.vmap(lambda m, x: call(m, x[None])[0], (None, 0))
    close(jax.jit(single)(model, images), output)


def test_gradients_by_images_and_by_parameters(case, output):
    model, run, call, images = case
    weights = jnp.asarray(np.random.RandomState(2).standard_normal(output.shape), jnp.float32)

    @jax.jit
    def gradients(model, images):
        return jax.grad(lambda m, x: jnp.sum(call(m, x) * weights), (0, 1))(model, images)

    by_weights, by_images = gradients(model, images)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(by_weights))
    assert (jnp.abs(by_images).sum(axis=(1, 2, 3)) > 0).all(), "every image matters"
    step = 1e-2 * by_images / jnp.linalg.norm(by_images)
    change = jnp.vdot(run(model, images + step) - run(model, images - step), weights) / 2
    np.testing.assert_allclose(change, jnp.vdot(by_images, step), rtol=0.05)


def test_bfloat16_images_compute_in_bfloat16(case, output):
    model, run, _, images = case
    found = run(model, images.astype(jnp.bfloat16))
    assert found.dtype == jnp.bfloat16
    difference = jnp.abs(found.astype(jnp.float32) - output)
    assert float(jnp.mean(difference)) < 0.1 * float(jnp.mean(jnp.abs(output)))


def test_it_lowers_for_tpu_with_weights_as_arguments(case):
    model, run, _, images = case
    texts = [
        jax.export.export(run, platforms=["tpu"])(m, images).mlir_module()
        for m in (model, filled(model.config, seed=1))
    ]
    assert texts[0] == texts[1]
    assert texts[0].count("feature_group_count =") == texts[0].count("feature_group_count = 1")


def test_bundles_hold_everything(case, tmp_path):
    model, _, _, _ = case
    jaxlatent.save(model, tmp_path / "model")
    again = jaxlatent.load_model(tmp_path / "model")
    assert again.config == model.config
    assert type(again) is type(model)
    assert fingerprint(again) == fingerprint(model)
    with pytest.raises(UserError, match=f"a network of the family {model.family}"):
        jaxlatent.load(tmp_path / "model")


@pytest.mark.usefixtures("lenient")
def test_mistakes_are_told(case):
    model, _, call, images = case
    with pytest.raises(UserError, match=r"images must have the shape \[n, h, w, 3\], got \[2, "):
        call(model, images[..., :2])
    with pytest.raises(UserError, match=r"uint8 pixels are x / 127.5 - 1"):
        call(model, images.astype(jnp.uint8))
    if model.family != "resnet":
        with pytest.raises(UserError, match=r"too small|must be"):
            call(model, images[:, :4, :4])

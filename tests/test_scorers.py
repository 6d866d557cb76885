"""Scorers give one number for each image, whatever the chunk; ONNX classifiers are scorers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, filled
from flax import nnx

import jaxlatent
from jaxlatent import UserError, paths, scorers
from jaxlatent.networks import AttributeNet, AttributesConfig, Category
from jaxlatent.onnx_scorer import OnnxScorer
from jaxlatent.scorers import brightness, contrast, score, warmth, within


@pytest.fixture(scope="module")
def generator():
    return filled(DCGAN_CONFIG)


def field(number, value):
    """Encodes a field of a protocol buffer: text and messages as bytes, all else as a number."""
    if isinstance(value, int):
        assert value < 128
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    assert len(value) < 1 << 14
    size = bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + size + value


def tensor(name, shape):
    dims = b"".join(field(1, field(2 if isinstance(d, str) else 1, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def network(path, *operators, inputs=("n", 3, 2, 4), outputs=("n", 3)):
    """Writes a chain of ONNX operators."""
    graph = b""
    for i, operator in enumerate(operators):
        result = "y" if i == len(operators) - 1 else f"x{i + 1}"
        graph += field(1, field(1, f"x{i}") + field(2, result) + field(4, operator))
    graph += field(2, "test") + field(11, tensor("x0", inputs)) + field(12, tensor("y", outputs))
    path.write_bytes(field(1, 8) + field(8, field(2, 13)) + field(7, graph))
    return path


MEANS = ("GlobalAveragePool", "Flatten")


def test_products_are_of_full_precision():
    """An accelerator multiplies with less unless it is told."""
    images = jnp.zeros((1, 2, 2, 3))
    programs = [jax.make_jaxpr(scorer)(images) for scorer in (brightness, contrast)]
    programs.append(jax.make_jaxpr(lambda x: paths.arithmetic([x, x], [x]))(jnp.zeros((2, 3))))
    for program in programs:
        (product,) = [e for e in program.eqns if e.primitive.name == "dot_general"]
        assert product.params["precision"] == (jax.lax.Precision.HIGHEST,) * 2


def test_statistics_of_images_have_gradients():
    images = jax.random.uniform(jax.random.key(0), (3, 5, 6, 3), minval=-1)
    for scorer in (brightness, contrast, warmth):
        alone = jnp.stack([scorer(images[i : i + 1])[0] for i in range(3)])
        np.testing.assert_allclose(scorer(images), alone, atol=1e-6)
        assert jnp.abs(jax.grad(lambda x, s=scorer: s(x).sum())(images)).max() > 0
    brighter = images + 0.25
    np.testing.assert_allclose(brightness(brighter), brightness(images) + 0.25, atol=1e-6)
    np.testing.assert_allclose(contrast(2 * images), 2 * contrast(images), atol=1e-5)
    np.testing.assert_allclose(warmth(images[..., ::-1]), -warmth(images), atol=1e-6)


def test_a_box_is_all_that_a_scorer_sees():
    images = jnp.zeros((2, 6, 6, 3)).at[1, 4:].set(1)
    np.testing.assert_allclose(within(brightness, (4, 6, 0, 6))(images), [0, 1], atol=1e-6)
    np.testing.assert_allclose(within(brightness, (0, 4, 0, 6))(images), [0, 0], atol=1e-6)
    with pytest.raises(UserError, match="with pixels in it"):
        within(brightness, (4, 4, 0, 6))
    with pytest.raises(UserError, match=r"not within images of \[6, 6\]"):
        within(brightness, (0, 7, 0, 6))(images)


def test_a_network_scores_all_its_attributes_at_once(generator, monkeypatch):
    hat = Category("hat", ("none", "cap"))
    net = AttributeNet(AttributesConfig((hat,), (), (4,), side=16), rngs=nnx.Rngs(0))
    codes = generator.broadcast(generator.sample_z(jax.random.key(0), 7))
    monkeypatch.setattr(scorers, "_AT_ONCE", 4)
    together = score(generator, codes, net)
    one_by_one = score(generator, codes, {name: net.scorer(name) for name in net.names})
    np.testing.assert_allclose(together, one_by_one, rtol=1e-4)
    assert score(generator, codes[:0], net).shape == (0, 2)


def test_scores_do_not_depend_on_the_chunk(generator, monkeypatch):
    codes = generator.broadcast(generator.sample_z(jax.random.key(0), 7))
    found = score(generator, codes, {"light": brightness, "warm": warmth})
    images = jaxlatent.render(generator, codes)
    np.testing.assert_allclose(found[:, 0], brightness(images), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], warmth(images), atol=1e-5)
    monkeypatch.setattr(scorers, "_AT_ONCE", 3)
    again = score(generator, codes, {"light": brightness, "warm": warmth})
    np.testing.assert_allclose(again, found, atol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({}, "no scorers were given"),
        ({"odd": lambda images: images}, r"odd must give one number for each of 2 images, got"),
        ({"odd": lambda images: np.full(len(images), np.nan)}, "odd gave numbers .* not finite"),
    ],
)
def test_odd_scorers_are_named(generator, chosen, message):
    with pytest.raises(UserError, match=message):
        score(generator, generator.broadcast(generator.sample_z(jax.random.key(0), 2)), chosen)


def test_an_onnx_network_scores_by_one_output(tmp_path):
    path = network(tmp_path / "means.onnx", *MEANS)
    images = jnp.asarray(np.random.RandomState(0).uniform(-1.2, 1.2, (5, 2, 4, 3)))
    pixels = np.clip(np.round((np.asarray(images, np.float32) + 1) * 127.5), 0, 255)
    scorer = OnnxScorer(path, 1, mean=(10.0, 20.0, 30.0), scale=0.01, probabilities=False)
    assert scorer.size == (2, 4)
    expected = (pixels.mean((1, 2)) - [10, 20, 30]) * 0.01
    np.testing.assert_allclose(scorer(images), expected[:, 1], rtol=1e-5)
    larger = jnp.repeat(jnp.repeat(images, 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(scorer(larger), scorer(images), atol=0.05)


def test_probabilities_become_log_odds(tmp_path):
    path = network(tmp_path / "classes.onnx", *MEANS, "Softmax")
    images = jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (4, 2, 4, 3)))
    raw = [
        OnnxScorer(network(tmp_path / "m.onnx", *MEANS), i, probabilities=False)(images)
        for i in range(3)
    ]
    expected = raw[2] - np.log(np.exp(raw[0]) + np.exp(raw[1]))
    np.testing.assert_allclose(OnnxScorer(path, 2)(images), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "output", "message"),
    [
        ({}, 3, "has outputs 0 to 2, got output=3"),
        ({"inputs": ("n", 1, 2, 4)}, 0, r"must be \[n, 3, height, width\]"),
        ({"inputs": ("n", 3, "h", "w")}, 0, r"must be \[n, 3, height, width\]"),
        ({"outputs": ("n", 3, 1, 1)}, 0, r"must be \[n, classes\]"),
    ],
)
def test_networks_of_another_shape_are_refused(tmp_path, changes, output, message):
    operators = MEANS[:1] if "outputs" in changes else MEANS
    path = network(tmp_path / "odd.onnx", *operators, **changes)
    with pytest.raises(UserError, match=message):
        OnnxScorer(path, output)


def test_files_that_are_no_network_are_refused(tmp_path):
    (tmp_path / "odd.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match="is no ONNX network"):
        OnnxScorer(tmp_path / "odd.onnx", 0)
    with pytest.raises(UserError, match="each of 3 channels, got 1"):
        OnnxScorer(tmp_path / "odd.onnx", 0, mean=(1.0,))

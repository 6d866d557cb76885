"""Natsu6767's files: both layouts, the parts of the latent vector, and what is no InfoGAN."""

import numpy as np
import pytest

from converters import FORMATS, ConversionError, detect
from converters.rules import apply_rules
from jaxlatent.parameters import parameter_shapes

FORMAT = FORMATS["natsu6767-infogan"]
RANDOM = np.random.RandomState(0)
MNIST = {"num_z": 62, "num_dis_c": 1, "dis_c_dim": 10, "num_con_c": 2}
SVHN = {"num_z": 124, "num_dis_c": 4, "dis_c_dim": 10, "num_con_c": 4}


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def infogan(z_dim, kernels, norms, params=None, image_channels=1):
    widths = (z_dim, *(6, 5, 4, 3)[: len(kernels) - 1], image_channels)
    state = {}
    for i, kernel in enumerate(kernels):
        state[f"tconv{i + 1}.weight"] = normal(widths[i], widths[i + 1], kernel, kernel)
        if i < norms:
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                state[f"bn{i + 1}.{leaf}"] = np.abs(normal(widths[i + 1]))
            state[f"bn{i + 1}.num_batches_tracked"] = np.array(7)
    others = {"netD": {"conv.weight": normal(1, 4, 1, 1)}, "optimG": {"state": {}}}
    return {"netG": state, **others} | ({"params": params} if params else {})


def mnist(params=MNIST, z_dim=74):
    return infogan(z_dim, (1, 7, 4, 4), 3, params)


def celeba(params=None, z_dim=228):
    return infogan(z_dim, (2, 4, 4, 4, 4), 2, params, 3)


def fitted(tree, **options):
    recipe = FORMAT.recipe(tree, FORMAT.parse_options(options))
    apply_rules(recipe.rules, recipe.arrays, parameter_shapes(recipe.config), recipe.unneeded)
    return recipe


def test_both_layouts():
    config = fitted(mnist()).config
    assert config.sizes() == [1, 7, 14, 28]
    assert (config.output_activation, config.norms) == ("sigmoid", (True, True, True, False))
    assert (config.num_noise, config.categorical, config.num_continuous) == (62, (10,), 2)
    config = fitted(celeba(SVHN, 168)).config
    assert config.sizes() == [2, 4, 8, 16, 32]
    assert (config.output_activation, config.norms[1:3]) == ("tanh", (True, False))
    assert (config.num_noise, config.categorical) == (124, (10,) * 4)


@pytest.mark.parametrize("tree", [mnist(), mnist(None), celeba()["netG"], mnist(None, 30)])
def test_it_is_not_taken_for_a_plain_dcgan(tree):
    assert detect(tree) is FORMAT


def test_sizes_of_the_paper_are_recognised_with_a_notice():
    recipe = fitted(celeba())
    assert recipe.config.categorical == (10,) * 10
    assert "228 numbers are those of the paper" in recipe.notices[0]
    assert not fitted(mnist()).notices


def test_other_latent_vectors_need_options():
    tree = mnist(None, 30)
    with pytest.raises(ConversionError, match=r"30 numbers: give the options categorical"):
        fitted(tree)
    config = fitted(tree, categorical="4,3", continuous="1").config
    assert (config.num_noise, config.categorical, config.num_continuous) == (22, (4, 3), 1)
    config = fitted(tree, categorical="0", continuous="0").config
    assert (config.num_noise, config.categorical) == (30, ())
    with pytest.raises(ConversionError, match=r"continuous alone leaves open .* give both"):
        fitted(tree, continuous="2")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"num_z": 63}, "are 75 numbers; the first layer takes 74"),
        ({"num_z": "62"}, "must be numbers up to"),
        ({"num_dis_c": -1}, "must be numbers up to"),
        ({"num_dis_c": 1 << 60}, "must be numbers up to"),
        ({"num_dis_c": True}, "must be numbers up to"),
    ],
)
def test_odd_params_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fitted(mnist(MNIST | params))


def test_options_that_ask_for_too_much_are_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        fitted(mnist(), categorical="70", continuous="70")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("tconv3.weight", normal(5, 4, 5, 5), r"tconv3\.weight has a kernel of 5x5"),
        ("tconv3.weight", normal(5, 4), r"tconv3\.weight is \[5, 4\]"),
        ("tconv2.weight", normal(6, 5, 7, 6), r"tconv2\.weight gives \[7, 6, 6, 5\]"),
        ("bn3.running_mean", normal(9), r"bn3\.running_mean gives \[9\]"),
        ("tconv9.weight", normal(3, 4, 4, 4), r"unexpected: tconv9\.weight"),
    ],
)
def test_files_that_do_not_fit_are_explained(name, array, message):
    tree = mnist()
    tree["netG"][name] = array
    with pytest.raises(ConversionError, match=message):
        fitted(tree)


def test_networks_with_other_strides_along_height_and_width_are_refused():
    """Generator_rect has the names of a DCGAN, kernels of 5 and strides that differ."""
    state = {f"main.{3 * i}.weight": normal(4, 4, k, k) for i, k in enumerate((4, 5, 4))}
    with pytest.raises(ConversionError, match=r"height and width differ .*Generator_rect"):
        FORMATS["torch-dcgan"].recipe(state, {})

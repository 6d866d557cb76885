"""torch-mimicry's files: every size, spectral norm, classes, and where attention goes."""

from itertools import pairwise

import numpy as np
import pytest

from converters import FORMATS, ConversionError, detect
from converters.rules import apply_rules
from jaxlatent.parameters import parameter_shapes

FORMAT = FORMATS["mimicry-sngan"]
RANDOM = np.random.RandomState(0)
WIDTHS = {32: (8,) * 4, 48: (8, 4, 2, 1), 64: (16, 8, 4, 2, 1), 128: (32, 32, 16, 8, 4, 2)}


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def convolution(outputs, inputs, size, spectral, bias=True):
    found = {"weight": normal(outputs, inputs, size, size)}
    if spectral:
        vectors = {"weight_u": normal(outputs), "weight_v": normal(inputs * size * size)}
        found = {"weight_orig": found["weight"], **vectors}
    return found | ({"bias": normal(outputs)} if bias else {})


def norm(channels, classes=0):
    statistics = {"running_mean": normal(channels), "running_var": np.abs(normal(channels))}
    statistics["num_batches_tracked"] = np.array(3)
    if not classes:
        return {"weight": normal(channels), "bias": normal(channels), **statistics}
    inner = {f"bn.{leaf}": array for leaf, array in statistics.items()}
    return {"embed.weight": normal(classes, 2 * channels), **inner}


def mimicry(size=32, classes=0, spectral=False, attention=0):
    """Returns a file of tiny width; attention is the width of the features that it reads."""
    widths, bottom = WIDTHS[size], 6 if size == 48 else 4
    first = convolution(widths[0] * bottom**2, 5, 1, spectral)
    modules = {"l1": {k: v[..., 0, 0] if v.ndim == 4 else v for k, v in first.items()}}
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        block = f"block{i + 2}"
        modules[f"{block}.c1"] = convolution(outputs, inputs, 3, spectral)
        modules[f"{block}.c2"] = convolution(outputs, outputs, 3, spectral)
        modules[f"{block}.c_sc"] = convolution(outputs, inputs, 1, spectral)
        modules[f"{block}.b1"] = norm(inputs, classes)
        modules[f"{block}.b2"] = norm(outputs, classes)
    last = len(widths) + 1
    modules[f"b{last}"] = norm(widths[-1])
    modules[f"c{last}"] = convolution(3, widths[-1], 3, spectral)
    if attention:
        modules["attn_block"] = {"gamma": normal()}
        shapes = {"theta": (attention // 8, attention), "phi": (attention // 8, attention)}
        shapes |= {"g": (attention // 2, attention), "o": (attention, attention // 2)}
        for name, shape in shapes.items():
            modules[f"attn_block.{name}"] = convolution(*shape, 1, spectral, bias=False)
    state = {f"{m}.{leaf}": a for m, leaves in modules.items() for leaf, a in leaves.items()}
    return {"model_state_dict": state, "optimizer_state_dict": {}, "global_step": 7}


def notices(tree, **options):
    return FORMAT.recipe(tree, FORMAT.parse_options(options)).notices


def fitted(tree, **options):
    recipe = FORMAT.recipe(tree, FORMAT.parse_options(options))
    shapes = parameter_shapes(recipe.config)
    return recipe.config, apply_rules(recipe.rules, recipe.arrays, shapes, recipe.unneeded)


@pytest.mark.parametrize("size", WIDTHS)
def test_every_size_is_read_from_the_shapes(size):
    tree = mimicry(size)
    assert detect(tree) is FORMAT
    config, _ = fitted(tree)
    assert (config.image_size, config.z_dim, config.channels) == (size, 5, WIDTHS[size])
    assert (config.num_classes, config.attention) == (0, None)


@pytest.mark.parametrize(("size", "width", "block"), [(32, 8, 1), (128, 8, 2)])
def test_sagan_of_both_sizes(size, width, block):
    config, arrays = fitted(mimicry(size, 3, True, width))
    assert (config.attention, config.num_classes) == (block, 3)
    assert arrays[f"blocks/{block}/attention/theta"].shape == (1, 1, width, 1)


def test_spectral_norm_is_folded():
    tree = mimicry(classes=2, spectral=True)
    layer = {k[3:]: v for k, v in tree["model_state_dict"].items() if k.startswith("l1.")}
    sigma = layer["weight_u"] @ layer["weight_orig"] @ layer["weight_v"]
    _, arrays = fitted(tree)
    np.testing.assert_allclose(arrays["weight"], layer["weight_orig"].T / sigma, rtol=1e-4)


def test_attention_at_other_sizes_needs_an_option():
    tree = mimicry(64, 3, True, 8)
    with pytest.raises(ConversionError, match="attention_block=2 to 5"):
        fitted(tree)
    assert fitted(tree, attention_block="2")[0].attention == 0
    with pytest.raises(ConversionError, match="the blocks are 2 to 5"):
        fitted(tree, attention_block="6")
    with pytest.raises(ConversionError, match=r"wrong shape: attn_block\.theta"):
        fitted(tree, attention_block="3")


def test_sigmoid_is_an_option():
    assert fitted(mimicry(), output_activation="sigmoid")[0].output_activation == "sigmoid"
    assert "DCGANGeneratorCIFAR" in notices(mimicry())[0]
    assert not notices(mimicry(), output_activation="sigmoid")
    assert not notices(mimicry(64))


def test_the_place_of_attention_is_a_guess():
    (notice,) = notices(mimicry(32, 3, True, 8))
    assert notice.startswith("attention_block is not in the file; 3 taken")
    assert not notices(mimicry(32, 3, True, 8), attention_block="3")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("l1.weight", normal(100, 5), "100 numbers, which are not 8 square feature maps"),
        ("l1.bias", None, r"missing l1\.bias"),
        ("block2.c1.weight", normal(8), r"block2\.c1\.weight is \[8\]"),
        ("block2.c1.weight", normal(8, 0, 3, 3), "not 0 square"),
        ("block4.c2.weight", None, r"missing: block4\.c2\.weight"),
        ("block99.c1.bias", normal(8), "98 blocks; at most"),
        ("block4.c1.bias", None, r"missing: b4\.|missing: c4\."),
        ("c5.bias", None, r"missing: c5\.bias"),
        ("odd.weight", normal(8), r"unexpected: odd\.weight"),
    ],
)
def test_files_that_do_not_fit_are_explained(name, array, message):
    tree = mimicry()
    tree["model_state_dict"][name] = array
    if array is None:
        del tree["model_state_dict"][name]
    with pytest.raises(ConversionError, match=message):
        fitted(tree)


def test_spectral_vectors_that_do_not_fit_are_named():
    tree = mimicry(classes=2, spectral=True)
    tree["model_state_dict"]["block3.c1.weight_v"] = normal(3)
    with pytest.raises(ConversionError, match=r"spectral norm: .* weights of block3\.c1"):
        fitted(tree)


def test_a_discriminator_is_not_taken_for_a_generator():
    state = {"block1.c1.weight": normal(4, 3, 3, 3), "block2.c1.bias": normal(4)}
    assert not FORMAT.matches({"model_state_dict": state | {"l5.weight": normal(1, 4)}})

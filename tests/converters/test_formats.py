"""Formats are told apart by contents, configs follow from the file, odd files are explained."""

import forge
import numpy as np
import pytest

from converters import FORMATS, ConversionError, convert, detect
from converters.arrays import averaging, module_arrays, state_dicts
from converters.options import mapping_lr_multiplier
from converters.stylegan2_nvidia import taps

RANDOM = np.random.RandomState(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def dcgan(kernels=(4, 4, 4), names=("conv", "norm"), prefix="", biases=False):
    widths = (*(6, 5, 4, 3, 2)[: len(kernels)], 3)
    state = {}
    for i, kernel in enumerate(kernels):
        owner = f"{prefix}{names[0]}{i}"
        state[f"{owner}.weight"] = normal(widths[i], widths[i + 1], kernel, kernel)
        if biases:
            state[f"{owner}.bias"] = normal(widths[i + 1])
        if i < len(kernels) - 1:
            owner = f"{prefix}{names[1]}{i}"
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                state[f"{owner}.{leaf}"] = np.abs(normal(widths[i + 1])) + 0.5
            state[f"{owner}.num_batches_tracked"] = np.array(7)
    return state


def write(tmp_path, state):
    path = tmp_path / "model.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict(state)))
    return path


def test_plain_stacks_under_any_names(tmp_path):
    for prefix in ("", "module.", "net.layers."):
        state = dcgan(prefix=prefix, biases=True)
        generator = convert(write(tmp_path, state)).model
        assert generator.family == "dcgan"
        assert generator.image_shape == (16, 16, 3)
        assert generator.config.norms == (True, True, False)
        assert generator.config.biases == (True, True, True)


def test_batch_norms_listed_after_all_convolutions(tmp_path):
    state = dcgan()
    ordered = {k: v for k, v in state.items() if k.startswith("conv")}
    ordered |= {k: v for k, v in state.items() if k.startswith("norm")}
    generator = convert(write(tmp_path, ordered)).model
    np.testing.assert_array_equal(generator.layers[1].norm.scale[...], state["norm1.weight"])


@pytest.mark.parametrize("names", [("main.", "main."), ("conv", "bn")])
def test_layers_sorted_as_text_keep_their_order(tmp_path, names):
    """Safetensors files do so: main.10 comes before main.2, and bn0 before all convolutions."""
    state, kernels = {}, (4,) * 5
    stack = dcgan(kernels)
    for i in range(len(kernels)):
        for ours, owner in zip(("conv", "norm"), names, strict=True):
            number = 3 * i + (ours == "norm") if names[0] == names[1] else i + 7
            for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                if f"{ours}{i}.{leaf}" in stack:
                    state[f"{owner}{number}.{leaf}"] = stack[f"{ours}{i}.{leaf}"]
    counters = sorted(name for name in state if name.endswith("tracked"))
    ordered = [*counters, *sorted(set(state) - set(counters))]
    generator = convert(write(tmp_path, {name: state[name] for name in ordered})).model
    assert generator.image_shape == (64, 64, 3)
    for i in range(len(kernels) - 1):
        scale = generator.layers[i].norm.scale[...]
        np.testing.assert_array_equal(scale, stack[f"norm{i}.weight"])


def test_what_is_taken_as_usual_is_told(tmp_path):
    path = write(tmp_path, dcgan())
    (notice,) = convert(path).notices
    assert notice.endswith(
        "strides=1,2,2, paddings=0,1,1, activation=relu, output_activation=tanh, norm_epsilon=1e-05"
    )
    options = {"strides": "1,2,2", "paddings": "0,1,1", "activation": "relu"}
    options |= {"output_activation": "tanh", "norm_epsilon": "1e-5"}
    assert not convert(path, options=options).notices


def test_the_trained_generator_is_read_with_a_notice_where_there_is_no_average():
    average, trained = {"a": normal(1)}, {"a": normal(1)}
    assert not averaging({"g_ema": average, "g": trained}, "g_ema", "g")
    assert not averaging(average, "g_ema", "g")
    (notice,) = averaging({"models": {"generator": trained}}, "generator_smooth", "generator")
    assert "no generator_smooth; generator is read" in notice


@pytest.mark.parametrize("name", ["nvidia-stylegan3", "rosinality-stylegan2"])
def test_the_wrong_format_of_a_pickled_module_lists_its_arrays(name):
    layer = {"_parameters": {"weight": normal(2, 2)}, "_buffers": {}, "_modules": {}}
    tree = {"G_ema": {"_modules": {"mapping": {"_modules": {"fc0": layer}}}}, "D": {}}
    with pytest.raises(ConversionError, match=r"missing .*; .*mapping\.fc0\.weight"):
        FORMATS[name].recipe(tree, {})


def test_the_wrong_format_of_a_tensorflow_network_lists_its_variables():
    inner = {"variables": [("Dense/weight", normal(2))], "components": {}}
    tree = (None, None, {"variables": [("lod", 0.0)], "components": {"synthesis": inner}})
    with pytest.raises(ConversionError, match=r"missing style\.1.*; .*has lod, Dense/weight"):
        FORMATS["rosinality-stylegan2"].recipe(tree, {})


def test_a_convolution_may_lack_its_batch_norm(tmp_path):
    state = {k: v for k, v in dcgan().items() if not k.startswith("norm0")}
    assert convert(write(tmp_path, state)).model.config.norms == (False, True, False)


@pytest.mark.parametrize(("size", "padding"), [("16", 0), ("12", 2)])
def test_last_layer_of_1x1_needs_the_image_size(tmp_path, size, padding):
    path = write(tmp_path, dcgan((4, 4, 4, 1)))
    with pytest.raises(ConversionError, match=r"image_size=16 .*image_size=12"):
        convert(path)
    generator = convert(path, options={"image_size": size}).model
    assert generator.image_shape == (int(size), int(size), 3)
    assert generator.config.paddings[-1] == padding


def test_odd_kernels_need_explicit_geometry(tmp_path):
    path = write(tmp_path, dcgan((4, 5, 4)))
    with pytest.raises(ConversionError, match=r"strides=\.\.\. and paddings"):
        convert(path)
    options = {"strides": "1,2,2", "paddings": "0,2,1", "output_paddings": "0,1,0"}
    assert convert(path, options=options).model.image_shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "17"}, "image_size=17 does not fit: these layers can give 16$"),
        ({"image_size": "many"}, "image_size=many: expected a whole number"),
        ({"image_size": "-16"}, "image_size=-16: expected a whole number"),
        ({"image_size": "9" * 5000}, "at most 6 digits"),
        ({"strides": "1,2,9999999"}, "at most 6 digits"),
        ({"norm_epsilon": "nan"}, "norm_epsilon=nan: expected a finite number above 0"),
        ({"norm_epsilon": "inf"}, "finite"),
        ({"norm_epsilon": "0"}, "above 0"),
        ({"norm_epsilon": "tiny"}, "norm_epsilon=tiny: expected a finite"),
        ({"depth": "3"}, "unknown option 'depth'.*image_size: side of the images"),
        ({"strides": "1,2"}, "one number for each of 3 layers"),
        ({"strides": "1,2,2"}, "both strides and paddings"),
        ({"strides": "1,2,2", "paddings": "0,9,1"}, r"check the .*paddings"),
        ({"strides": "1,0,2", "paddings": "0,1,1"}, "at least 1"),
        ({"activation": "sine"}, "activation must be one of"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(ConversionError, match=message):
        convert(write(tmp_path, dcgan()), options=options)


@pytest.mark.parametrize("size", ["0", "18", "15", "999999"])
def test_the_image_sizes_that_a_cropping_layer_can_give_are_told(tmp_path, size):
    path = write(tmp_path, dcgan((4, 4, 4, 1)))
    with pytest.raises(ConversionError, match=r"can give 16, 14, 12, 10 and 4 more$"):
        convert(path, options={"image_size": size})


@pytest.mark.parametrize("value", ["nan", "inf", "0", "-0.01", "fast"])
def test_learning_rate_multipliers_are_positive(value):
    with pytest.raises(ConversionError, match="expected a finite number above 0"):
        FORMATS["rosinality-stylegan2"].parse_options({"mapping_lr_multiplier": value})


def test_negative_variances_are_refused(tmp_path):
    state = dcgan()
    state["norm1.running_var"][0] = -1e-3
    with pytest.raises(ConversionError, match=r"negative: norm1\.running_var"):
        convert(write(tmp_path, state))


def test_the_generator_is_found_among_other_state_dicts():
    tree = {"netD": {"fc.weight": normal(3, 4)}, "weights": dcgan()}
    found = detect(tree)
    assert found.name == "torch-dcgan"
    assert found.recipe(tree, {}).config.channels == (5, 4, 3)
    with pytest.raises(ConversionError, match="'fc' is neither"):
        found.recipe({"netD": tree["netD"], "other": {"b.weight": normal(3)}}, {})


def test_averages_are_read_before_all_others(tmp_path):
    raw, average = dcgan(), dcgan()
    for tree in (
        {"G": raw, "G_ema": average},
        {"netG": raw, "netG_ema": average},
        {"models": {"generator": raw, "generator_smooth": average}},
        {"one": raw, "ema": average},
        {f"{p}.{k}": a for p, s in (("netG", raw), ("netG_ema", average)) for k, a in s.items()},
    ):
        recipe = FORMATS["torch-dcgan"].recipe(tree, {})
        np.testing.assert_array_equal(recipe.arrays["conv0.weight"], average["conv0.weight"])
    (several, _) = FORMATS["torch-dcgan"].recipe({"one": raw, "two": average}, {}).notices
    assert several.startswith("the file has 2 generators; the first is read")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "generator.module.", "module._orig_mod.", "net."])
def test_prefixes_of_wrappers(prefix):
    state = {f"{prefix}{name}": array for name, array in dcgan().items()} | {"epoch": np.array(3)}
    if prefix != "generator.module.":
        assert [set(dcgan())] == [set(arrays) for arrays in state_dicts(state, ())]
    assert FORMATS["torch-dcgan"].recipe(state, {}).config.channels == (5, 4, 3)


def test_the_order_of_layers_by_name_alone_is_told():
    names = {"conv0": "body", "conv1": "first", "conv2": "out"}
    state = {f"{names[k.split('.')[0]]}.weight": a for k, a in dcgan().items() if "conv" in k}
    recipe = FORMATS["torch-dcgan"].recipe({k: state[k] for k in sorted(state)}, {})
    assert recipe.notices[0].endswith("in the order of their names: body, first, out")


def test_options_that_are_no_text_are_named(tmp_path):
    with pytest.raises(ConversionError, match="image_size=16: options are text, as in '28'"):
        convert(write(tmp_path, dcgan()), options={"image_size": 16})


def test_weights_that_fit_no_learning_rate_multiplier_ask_for_it():
    weight = 544 * normal(20, 20)
    with pytest.raises(ConversionError, match=r"of 5\d\d fits none of 0\.01, .* give the"):
        mapping_lr_multiplier({}, weight)
    assert mapping_lr_multiplier({"mapping_lr_multiplier": 0.002}, weight) == (0.002, [])


def test_a_prefix_is_stripped_from_all_names_or_none():
    arrays = {"module.a": normal(1), "a": normal(2)}
    assert state_dicts(arrays, ()) == [arrays]


def test_activations_are_options(tmp_path):
    options = {"activation": "lrelu", "output_activation": "sigmoid", "norm_epsilon": "0.001"}
    config = convert(write(tmp_path, dcgan()), options=options).model.config
    assert (config.activation, config.output_activation) == ("lrelu", "sigmoid")
    assert config.norm_epsilon == 0.001


def test_a_discriminator_is_named(tmp_path):
    state = {f"conv{i}.weight": normal(i + 4, i + 3, 4, 4) for i in range(3)}
    with pytest.raises(ConversionError, match="no known network"):
        convert(write(tmp_path, state))
    with pytest.raises(ConversionError, match="this is a discriminator"):
        convert(write(tmp_path, state), format="torch-dcgan")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"fc.weight": normal(3, 4)}, "neither a ConvTranspose2d nor a BatchNorm2d"),
        (
            {"a.weight": normal(3, 4, 4, 4), "b.weight": normal(5, 6, 4, 4)},
            "a gives 4 .* b takes 5",
        ),
        ({"a.weight": normal(3, 4, 4, 4)}, "at least 2"),
        ({"a.weight": normal(3, 4, 4, 4), "b.weight": normal(4, 6, 4, 3)}, "only square"),
        ({"n.running_mean": normal(3), "n.running_var": normal(3)}, "follows no convolution"),
    ],
)
def test_other_networks_are_refused_as_dcgan(tmp_path, state, message):
    with pytest.raises(ConversionError, match=message):
        convert(write(tmp_path, state), format="torch-dcgan")


@pytest.mark.parametrize("name", ["nvidia-stylegan2", "rosinality-stylegan2"])
def test_the_wrong_format_is_refused(tmp_path, name):
    with pytest.raises(
        ConversionError, match=r"do not fit this format: missing .*the file has conv0"
    ):
        convert(write(tmp_path, dcgan()), format=name)


def test_an_unknown_format_lists_those_known(tmp_path):
    with pytest.raises(ConversionError, match=", ".join(FORMATS)):
        convert(write(tmp_path, dcgan()), format="stylegan9")


@pytest.mark.parametrize("tree", [None, [], {}, "text", {"a": {"b": 1}}, {"a": np.ones(3)}])
def test_trees_without_a_generator(tree):
    with pytest.raises(ConversionError, match="formats read"):
        detect(tree)


def test_nan_weights_are_named(tmp_path):
    state = dcgan()
    state["conv1.weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(ConversionError, match=r"not finite \(NaN or infinity\): conv1.weight"):
        convert(write(tmp_path, state))


def test_taps():
    assert taps(np.array([1.0, 2, 1])) == (0.25, 0.5, 0.25)
    np.testing.assert_allclose(
        taps(4 * np.outer([1, 4, 2, 1], [1, 4, 2, 1])), [1 / 8, 0.5, 0.25, 1 / 8]
    )


@pytest.mark.parametrize(
    "kernel",
    [
        np.eye(4),
        np.zeros((4, 4)),
        np.full(4, np.nan),
        np.full(4, 1e308),
        np.ones((1, 1000)),
        np.ones(100_000),
        np.ones(()),
        np.ones((2, 2, 2)),
        np.ones(3, complex),
        np.full(3, "1"),
    ],
    ids=str,
)
def test_odd_filters_are_refused(kernel):
    with pytest.raises(ConversionError, match="1-D taps"):
        taps(kernel)


@pytest.mark.parametrize("leaf", [{}, {"_parameters": {"w": np.ones(1)}}])
def test_nested_modules_without_end_are_refused(leaf):
    node: dict = leaf
    for _ in range(100):
        node = {"_modules": {"a": node, "b": node}}
    with pytest.raises(ConversionError, match="too"):
        module_arrays(node)


def test_a_known_architecture_that_is_not_read_is_named():
    tree = {"GAN": {"GE.initial_block": normal(1, 4, 4, 4), "D.fc.weight": normal(1, 4)}}
    with pytest.raises(ConversionError, match=r"lucidrains/stylegan2-pytorch, .* is not read"):
        detect(tree)

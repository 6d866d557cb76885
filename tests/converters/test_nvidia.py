"""NVIDIA's PyTorch files: which generator of a pickle, and what bare tensors leave open."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from converters import FORMATS, ConversionError, detect, read_checkpoint
from converters.arrays import module_arrays
from converters.rules import apply_rules
from converters.stylegan3_nvidia import filter_of, layer_names
from jaxlatent.parameters import parameter_shapes

GOLDENS = Path(__file__).parents[1] / "goldens"
PICKLES = {
    "nvidia-stylegan2": "sg3repo_stylegan2_res32",
    "nvidia-stylegan3": "sg3t_res32_cond",
}
TENSORS = ["ada_res32_resnet", "ada_res32_fir_asym", "ada_res64_cond10", *PICKLES.values()]


@cache
def tree(name):
    return read_checkpoint(GOLDENS / name / "checkpoint.pkl").tree


def recipe(tree, **options):
    return detect(tree).recipe(tree, options)


def fitted(recipe):
    shapes = parameter_shapes(recipe.config)
    return apply_rules(recipe.rules, recipe.arrays, shapes, recipe.unneeded)


@pytest.mark.parametrize("format", PICKLES)
def test_the_averaged_generator_is_preferred_then_g_then_the_root(format):
    whole = tree(PICKLES[format])
    averaged = whole["G_ema"]
    expected = module_arrays(averaged)["mapping.fc0.weight"]
    for root, noticed in (
        (whole, []),
        ({"G_ema": averaged}, []),
        (averaged, []),
        ({"G": averaged}, [True]),
        ({"G": averaged, "G_ema": None}, [True]),
    ):
        assert detect(root).name == format
        found = recipe(root)
        np.testing.assert_array_equal(found.arrays["mapping.fc0.weight"], expected)
        assert ["not averaged" in notice for notice in found.notices] == noticed
    assert (module_arrays(whole["G"])["mapping.fc0.weight"] != expected).any()


@pytest.mark.parametrize("name", TENSORS)
def test_state_dicts_give_the_same_generator_as_pickles(name):
    pickled = recipe(tree(name))
    state = module_arrays(tree(name)["G_ema"])
    for wrapped in (
        state,
        {"G_ema": state, "G": {k: np.zeros_like(v) for k, v in state.items()}},
        {f"module.{k}": v for k, v in state.items()},
        {"generator": {"x": np.ones(1)}, "state_dict": state},
    ):
        found = recipe(wrapped, conv_clamp=pickled.config.conv_clamp)
        assert found.config == pickled.config
        assert any("mapping_lr_multiplier is not in the file; 0.01" in n for n in found.notices)
    ours, theirs = fitted(found), fitted(pickled)
    assert ours.keys() == theirs.keys()
    assert all((ours[k] == theirs[k]).all() for k in ours)


def test_what_tensors_leave_open_is_told_and_can_be_said():
    for name in PICKLES.values():
        state = module_arrays(tree(name)["G_ema"])
        format = detect(state)
        found = format.recipe(state, {})
        assert found.config.conv_clamp == 256
        assert any("conv_clamp is not in the file; 256" in notice for notice in found.notices)
        options = {"conv_clamp": "none", "mapping_lr_multiplier": "0.5"}
        said = format.recipe(state, format.parse_options(options))
        assert said.config.conv_clamp is None
        assert said.config.mapping_lr_multiplier == 0.5
        assert not any("not in the file" in notice for notice in said.notices)
        for value in ("0", "nan", "some"):
            with pytest.raises(ConversionError, match="expected a finite number above 0"):
                format.parse_options({"conv_clamp": value})


def changed(**changes):
    state = dict(module_arrays(tree("sg3t_res32_cond")["G_ema"]))
    for name, value in changes.items():
        old, _, new = name.partition("->")
        if new:
            state = {k.replace(old, new): v for k, v in state.items()}
        else:
            state[f"synthesis.{name}"] = value
    return {k: v for k, v in state.items() if v is not ...}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"L0_36_16.up_filter": np.ones(10)}, "has 10 taps, no multiple of 6"),
        ({"L0_36_16.up_filter": np.ones(0)}, "not finite, or none"),
        ({"L0_36_16.up_filter": np.ones((12, 3))}, r"\[t\] or \[t, t\] numbers, got \[12, 3\]"),
        ({"L0_36_16.up_filter": np.full(12, np.nan)}, "not finite"),
        ({"L0_36_16.up_filter": np.ones(600)}, "taps of a filter; at most 128"),
        ({"L1_36_16->L1_40_16": None}, "side 40 does not fit a rate of 16"),
        ({"L1_36_16->L17_36_16": None}, "are not L0_..., L1_... and so on"),
        ({"input.freqs": ...}, "missing synthesis.input.freqs"),
        ({"L3_36_16.weight": ...}, "missing: synthesis.L3_36_16.weight"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_odd_stylegan3_tensors_are_explained(changes, message):
    with pytest.raises(ConversionError, match=message):
        FORMATS["nvidia-stylegan3-tensors"].recipe(changed(**changes), {})


def layer(name, **attributes):
    """Returns the golden's pickle with other attributes of a module of its synthesis."""
    node = tree("sg3t_res32_cond")["G_ema"]
    modules = dict(node["_modules"])
    synthesis = dict(modules["synthesis"])
    parts = dict(synthesis["_modules"])
    parts[name] = {**parts[name], **attributes}
    return {
        "G_ema": {**node, "_modules": {**modules, "synthesis": {**synthesis, "_modules": parts}}}
    }


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("L0_36_16", {"padding": [9, 8, 9, 9]}, "differs between the axes"),
        ("L0_36_16", {"padding": 9}, "no padding, or an odd one"),
        ("L0_36_16", {"padding": [9, 8]}, "not 4 whole numbers"),
        ("L0_36_16", {"padding": [10, 10, 10, 10]}, "sides should be .* give"),
        ("L0_36_16", {"padding": [1 << 40] * 4}, "padding must be two numbers"),
        ("L0_36_16", {"up_factor": 0}, "L0_36_16 .*in 1 to 16, got 0"),
        ("L0_36_16", {"conv_clamp": 7.0}, r"different conv_clamp .*'256', '7.0'"),
        ("L0_36_16", {"is_torgb": True}, "not the last layer alone"),
        ("L0_36_16", {"out_size": np.array([36, 40])}, "out_size is not the side of a square"),
        ("L0_36_16", {"out_size": np.array([36.5, 36.5])}, "out_size is not the side"),
        ("input", {"size": 40}, "sides should be"),
        ("input", {"sampling_rate": 2.0}, "half of input_rate = 2.0"),
        ("input", {"bandwidth": None}, "no bandwidth, or an odd one"),
    ],
)
def test_odd_stylegan3_modules_are_explained(name, attributes, message):
    with pytest.raises(ConversionError, match=message):
        recipe(layer(name, **attributes))


@pytest.mark.parametrize(
    ("forced", "name"), [*zip(reversed(PICKLES), PICKLES.values(), strict=True)]
)
def test_a_forced_format_says_what_is_missing(forced, name):
    missing = r"do not fit this format: missing .*synthesis"
    with pytest.raises(ConversionError, match=missing):
        FORMATS[forced].recipe({"G_ema": tree(name)["G_ema"], "D": None}, {})
    with pytest.raises(ConversionError, match=missing):
        FORMATS[f"{forced}-tensors"].recipe(module_arrays(tree(name)["G_ema"]), {})


def test_a_radial_filter_is_a_sum_of_few_separable_ones():
    x, y = np.meshgrid(np.arange(12) - 5.5, np.arange(12) - 5.5)
    radial = np.sinc(np.hypot(x, y) / 2) * np.outer(np.kaiser(12, 4), np.kaiser(12, 4))
    radial = (radial / radial.sum()).astype(np.float32)
    found = filter_of(radial)
    assert 2 <= len(found.rows) <= 6
    total = sum(np.outer(r, c) for r, c in zip(found.rows, found.columns, strict=True))
    np.testing.assert_allclose(total, radial, atol=1e-7 * radial.max())
    any_square = np.random.RandomState(0).standard_normal((5, 5))
    found = filter_of(any_square)
    total = sum(np.outer(r, c) for r, c in zip(found.rows, found.columns, strict=True))
    np.testing.assert_allclose(total, any_square, atol=1e-6)


def test_layers_are_sorted_by_number_not_by_name():
    names = [f"L{i}_36_{i}" for i in range(12)]
    assert layer_names(sorted(names)) == names
    with pytest.raises(ConversionError, match="are not L0"):
        layer_names(["L0_4_4", "L0_8_8"])
    with pytest.raises(ConversionError, match="are not L0"):
        layer_names([])

"""BigGAN checkpoints: what names and shapes tell, what options say, and what is refused."""

import json
from pathlib import Path

import forge
import numpy as np
import pytest

from converters import FORMATS, ConversionError, convert, detect, read_checkpoint
from converters.rules import apply_rules
from jaxlatent.parameters import parameter_shapes

GOLDENS = Path(__file__).parents[1] / "goldens"
HUGGINGFACE, PYTORCH = FORMATS["huggingface-biggan"], FORMATS["pytorch-biggan"]
C, CLASSES, EMBED, PART = 8, 5, 3, 2


def pytorch(blocks=2, deep=False, shared=True, hierarchical=True, norms=True, spectral=True):
    """Returns a state dict of BigGAN-PyTorch, `C` channels throughout."""
    random = np.random.RandomState(0)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    state = {}

    def layer(name, *shape, bias=True):
        state[f"{name}.weight"] = normal(*shape)
        if bias:
            state[f"{name}.bias"] = normal(shape[0])
        if spectral:
            state[f"{name}.u0"], state[f"{name}.sv0"] = normal(1, shape[0]), normal(1)

    def statistics(name, width):
        state[f"{name}.stored_mean"], state[f"{name}.stored_var"] = (
            normal(width),
            normal(width) ** 2,
        )

    condition = (EMBED if shared else 0) + (PART if hierarchical or deep else 0)
    if shared:
        state["shared.weight"] = normal(CLASSES, EMBED)
    layer("linear", 4 * C, PART + (EMBED if deep else 0))
    quarter = C // 4
    convs = {"1": (C, C, 3), "2": (C, C, 3), "_sc": (C, C, 1)}
    if deep:
        convs = {
            "1": (quarter, C, 1), "2": (quarter, quarter, 3), "3": (quarter, quarter, 3),
            "4": (C, quarter, 1),
        }  # fmt: skip
    for i in range(blocks):
        for conv, (o, inputs, side) in convs.items():
            layer(f"blocks.{i}.0.conv{conv}", o, inputs, side, side)
            if conv == "_sc":
                continue
            norm = f"blocks.{i}.0.bn{conv}"
            if norms:
                statistics(norm, inputs)
            for leaf in ("gain", "bias"):
                if shared:
                    layer(f"{norm}.{leaf}", inputs, condition, bias=False)
                else:
                    state[f"{norm}.{leaf}.weight"] = normal(CLASSES, inputs)
    for name, shape in {"theta": (1, C), "phi": (1, C), "g": (4, C), "o": (C, 4)}.items():
        layer(f"blocks.0.1.{name}", *shape, 1, 1, bias=False)
    state["blocks.0.1.gamma"] = normal()
    state["output_layer.0.gain"], state["output_layer.0.bias"] = normal(C), normal(C)
    statistics("output_layer.0", C)
    layer("output_layer.2", 3, C, 3, 3)
    return {name: np.asarray(array, np.float32) for name, array in state.items()}


def fitted(state, **options):
    """Returns config, parameters and notices that a state dict of BigGAN-PyTorch gives."""
    assert detect(state) is PYTORCH
    recipe = PYTORCH.recipe(state, PYTORCH.parse_options(options))
    shapes = parameter_shapes(recipe.config)
    found = apply_rules(recipe.rules, recipe.arrays, shapes, recipe.unneeded)
    return recipe.config, found, recipe.notices


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({}, {"z_dim": 3 * PART, "hierarchical": True}),
        ({"hierarchical": False}, {"z_dim": PART, "hierarchical": False}),
        ({"shared": False, "hierarchical": False}, {"z_dim": PART, "embed_dim": 0}),
        ({"spectral": False}, {"z_dim": 3 * PART}),
        ({"deep": True}, {"z_dim": PART, "deep": True, "upsamples": (False, True)}),
    ],
)
def test_configs_follow_from_names_and_shapes(kind, expected):
    config, _, notices = fitted(pytorch(**kind))
    expected = {
        "num_classes": CLASSES, "channels": (C,) * 3, "bottom_width": 2, "attention": (1,),
        "embed_dim": EMBED, "upsamples": (True, True), "norm_epsilon": 1e-5,
    } | expected  # fmt: skip
    assert {name: getattr(config, name) for name in expected} == expected
    assert "1e-05" in notices[0]


def test_the_class_comes_before_z_in_the_file_and_after_it_in_ours():
    state = pytorch(spectral=False)
    _, found, _ = fitted(state)
    theirs = state["blocks.1.0.bn2.gain.weight"]
    ours = found["blocks/1/norms/1/gain"]
    np.testing.assert_array_equal(ours[:PART].T, theirs[:, EMBED:])
    np.testing.assert_array_equal(ours[PART:].T, theirs[:, :EMBED])
    np.testing.assert_array_equal(  # the first layer's outputs are CHW in the file
        found["first/bias"].reshape(2, 2, C).transpose(2, 0, 1).ravel(), state["linear.bias"]
    )


def test_statistics_may_be_kept_by_a_layer_of_their_own():
    plain = pytorch()
    _, expected, _ = fitted(plain)
    wrapped, running = {}, {}
    for name, array in plain.items():
        owner, _, leaf = name.rpartition(".")
        if leaf in ("stored_mean", "stored_var"):
            wrapped[f"{owner}.bn.{leaf}"] = 4 * array
            wrapped[f"{owner}.bn.accumulation_counter"] = np.float32([4])
            running[f"{owner}.bn.{leaf.replace('stored', 'running')}"] = array
            running[f"{owner}.bn.num_batches_tracked"] = np.array(7)
        else:
            wrapped[name] = running[name] = array
    for state, words in ((wrapped, "divided by 4"), (running, "scales multiply")):
        _, found, notices = fitted(state)
        assert words in notices[0]
        assert all(np.array_equal(found[name], array) for name, array in expected.items())
    mean, counters = "norm/statistics/mean", [n for n in wrapped if n.endswith("counter")]
    _, sums, notices = fitted(wrapped, standing="ignore")
    assert "taken as they are" in notices[0]
    np.testing.assert_array_equal(sums[mean], 4 * expected[mean])
    running_averages = wrapped | dict.fromkeys(counters, np.float32([0]))
    _, found, notices = fitted(running_averages)
    assert len(notices) == 2, "only the guessed epsilon and activation"
    np.testing.assert_array_equal(found[mean], sums[mean])


def test_norms_without_statistics_only_scale_and_shift():
    _, found, notices = fitted(pytorch(norms=False), norm_epsilon="0.001")
    assert "without normalising" in notices[0]
    variance = found["blocks/0/norms/0/statistics/variance"]
    np.testing.assert_allclose(variance + np.float32(0.001), 1, rtol=1e-6)
    assert not found["blocks/0/norms/0/statistics/mean"].any()


def test_epsilon_is_guessed_or_given():
    state = {k: v for k, v in pytorch().items() if not k.endswith("sv0")}
    config, _, notices = fitted(state)
    assert config.norm_epsilon == 1e-4
    assert config.output_epsilon == 1e-5
    assert "TensorFlow Hub" in notices[0]
    config, _, notices = fitted(state, norm_epsilon="0.01")
    assert config.norm_epsilon == 0.01
    assert [notice.startswith("the activation (G_nl)") for notice in notices] == [True]
    with pytest.raises(ConversionError, match="depth is for BigGAN-deep"):
        fitted(state, depth="2")


def test_the_depth_is_guessed_or_given():
    for blocks, depth in ((3, 1), (6, 2), (4, 2)):
        recipe = PYTORCH.recipe(pytorch(blocks, deep=True), {})
        assert recipe.config.resolution == 2 << (blocks // depth)
        assert any("depth" in n for n in recipe.notices) == (depth != 2)
    assert PYTORCH.recipe(pytorch(6, deep=True), {"depth": 3}).config.resolution == 8
    for blocks, depth in ((5, None), (6, 4), (6, 0)):
        with pytest.raises(ConversionError, match="give the option depth"):
            PYTORCH.recipe(pytorch(blocks, deep=True), {} if depth is None else {"depth": depth})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks.1.0.conv2.weight": None}, r"missing: blocks.1.0.conv2.weight"),
        ({"blocks.1.0.conv_sc.bias": None}, r"missing: blocks\.1\.0\.conv_sc\.bias"),
        ({"blocks.1.0.bn1.stored_mean": None}, r"missing: blocks\.1\.0\.bn1\.stored_mean"),
        (
            {"linear.weight": np.ones((24, 2)), "linear.u0": np.ones((1, 24))},
            "24 outputs, which are no square image of 8",
        ),
        ({"linear.u0": np.ones((1, 3))}, "do not fit the weights of linear"),
        ({"blocks.0.0.bn1.stored_var": -np.ones(C)}, "negative: blocks.0.0.bn1.stored_var"),
        ({"more.weight": np.ones(3)}, "unexpected: more.weight"),
    ],
)
def test_odd_files_are_explained(changes, message):
    state = pytorch() | changes
    with pytest.raises(ConversionError, match=message):
        fitted({name: array for name, array in state.items() if array is not None})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standing": "sometimes"}, "expected average or ignore"),
        ({"norm_epsilon": "-1"}, "above 0"),
        ({"truncation": "1"}, "unknown option 'truncation'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConversionError, match=message):
        PYTORCH.parse_options(options)
    for value in ("0", "1.5", "nan", "all"):
        with pytest.raises(ConversionError, match="truncation="):
            HUGGINGFACE.parse_options({"truncation": value})


@pytest.fixture(scope="module")
def huggingface():
    folder = GOLDENS / "biggan_hf_256"
    sidecar = json.loads((folder / "config.json").read_text())
    return read_checkpoint(folder / "pytorch_model.bin").tree, sidecar


def test_config_json_tells_what_the_file_does_not(huggingface):
    tree, sidecar = huggingface
    assert detect(tree) is HUGGINGFACE
    told = HUGGINGFACE.recipe(tree, {"config.json": sidecar})
    assert (told.config.norm_epsilon, told.notices) == (1e-4, ())
    guessed = HUGGINGFACE.recipe(tree, {})
    assert guessed.config == told.config  # the published models' layout
    assert len(guessed.notices) == 2
    options = {"upsamples": (1, 0) * 6, "norm_epsilon": 0.5, "truncation": 0.25}
    given = HUGGINGFACE.recipe(tree, {"config.json": sidecar, **options}).config
    assert given.upsamples == (True, False) * 6
    assert (given.norm_epsilon, given.output_epsilon, given.truncation) == (0.5, 0.5, 0.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z_dim": 128, "n_stats": 5}, r"z_dim = 128 \(12\), n_stats = 5 \(51\)"),
        ({"attention_layer_position": 2}, r"attention_layer_position = 2 \(8\)"),
        ({"layers": [[True, 16, 16]] * 12}, r"layers \(channels \[64, "),
        ({"layers": [[True, 16, 16]]}, "12 blocks, but 1 numbers"),
        ({"layers": "all"}, "layers must be a list of"),
        ({"layers": [[1]]}, "layers must be a list of"),
        ({"eps": "small"}, "eps must be a number"),
        ({"eps": float("nan")}, "epsilons must be in"),
    ],
)
def test_a_config_json_of_another_model_is_refused(huggingface, changes, message):
    tree, sidecar = huggingface
    with pytest.raises(ValueError, match=message):
        HUGGINGFACE.recipe(tree, {"config.json": sidecar | changes})


def test_a_config_json_that_is_no_object_is_refused(huggingface):
    with pytest.raises(ConversionError, match="layers must be a list"):
        HUGGINGFACE.recipe(huggingface[0], {"config.json": [], "upsamples": (0, 1) * 6})


def test_the_other_lineage_is_refused(tmp_path, huggingface):
    path = tmp_path / "G.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict(pytorch())))
    with pytest.raises(ConversionError, match=r"missing embeddings\.weight.*has shared\.we"):
        convert(path, format="huggingface-biggan")
    with pytest.raises(ConversionError, match=r"missing linear\.weight"):
        PYTORCH.recipe(huggingface[0], {})

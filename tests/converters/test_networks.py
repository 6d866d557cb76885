"""Predictors, trunks, LPIPS and encoders under the names that their files have in the wild."""

import contextlib
import random
from functools import cache

import forge
import numpy as np
import pytest
from test_trees import ODD, places, replaced

from benchmarks.parity.goldens import OWN
from converters import FORMATS, ConversionError, convert, detect, read_checkpoint
from converters.rules import apply_rules
from jaxlatent import UserError
from jaxlatent.networks import TRUNKS
from jaxlatent.networks.lpips import SCALE, SHIFT
from jaxlatent.parameters import parameter_shapes

RANDOM = np.random.RandomState(0)
shapes_of = cache(parameter_shapes)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def save_state(path, state):
    path.write_bytes(forge.torch_zip(*forge.state_dict(state)))
    return path


def fit(tree, format=None, **options):
    """Returns config, parameters and notices, as `convert` has them before it builds."""
    known = FORMATS[format] if format else detect(tree)
    recipe = known.recipe(tree, known.parse_options(options))
    shapes = shapes_of(recipe.config)
    arrays = apply_rules(recipe.rules, recipe.arrays, shapes, recipe.unneeded)
    return recipe.config, arrays, recipe.notices


# --- ResNet


def norm(name, size):
    leaves = ("weight", "bias", "running_mean", "running_var")
    found = {f"{name}.{leaf}": np.abs(normal(size)) for leaf in leaves}
    return found | {f"{name}.num_batches_tracked": np.array(3)}


def resnet(depths=(1, 2), head="fc", prefix=""):
    state = {"conv1.weight": normal(6, 3, 7, 7), **norm("bn1", 6)}
    inputs = 6
    for stage, depth in enumerate(depths):
        width, outputs = 4 + stage, 8 + stage
        for block in range(depth):
            name = f"layer{stage + 1}.{block}"
            shapes = ((width, inputs, 1, 1), (width, width, 3, 3), (outputs, width, 1, 1))
            for i, shape in enumerate(shapes, 1):
                state |= {
                    f"{name}.conv{i}.weight": normal(*shape),
                    **norm(f"{name}.bn{i}", shape[0]),
                }
            if block == 0:
                state[f"{name}.downsample.0.weight"] = normal(outputs, inputs, 1, 1)
                state |= norm(f"{name}.downsample.1", outputs)
            inputs = outputs
    state |= {f"{head}.weight": normal(7, inputs), f"{head}.bias": normal(7)}
    return {f"{prefix}{name}": array for name, array in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.backbone.", "net.0."])
@pytest.mark.parametrize("wrapper", [None, "state_dict"])
def test_resnets_under_any_prefix(prefix, wrapper):
    state = resnet(prefix=prefix)
    tree = state if wrapper is None else {"epoch": 3, wrapper: state}
    config, arrays, notices = fit(tree)
    assert (config.outputs, config.depths, config.stem) == (7, (1, 2), 6)
    assert (config.widths, config.channels, config.version) == ((4, 5), (8, 9), "1.5")
    np.testing.assert_array_equal(arrays["weight"], state[f"{prefix}fc.weight"].T)
    assert "version 1.5" in notices[0]
    assert fit(tree, version="1")[0].version == "1"
    assert not fit(tree, version="1")[2]


def test_the_last_layer_may_have_another_name():
    assert fit(resnet(head="fc.1"))[0].outputs == 7
    outside = {f"backbone.{n}": a for n, a in resnet().items() if not n.startswith("fc")}
    outside |= {"head.weight": normal(5, 9), "head.bias": normal(5)}
    assert fit(outside)[0].outputs == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer1.0.conv3.weight": None}, "ResNet-18 or -34"),
        ({"layer1.0.conv2.weight": normal(4, 2, 3, 3)}, "ResNeXt"),
        ({"extra.weight": normal(5, 7)}, "one linear layer .* has 2: fc.weight, extra.weight"),
        ({"fc.weight": None}, "one linear layer .* has 0$"),
        ({"fc.bias": None}, "missing: fc.bias"),
        ({"layer2.0.se.weight": normal(3)}, r"unexpected: layer2\.0\.se\.weight"),
        ({"bn1.running_var": -np.ones(6)}, r"negative: bn1\.running_var"),
    ],
)
def test_other_resnets_are_refused(changes, message):
    state = {n: a for n, a in {**resnet(), **changes}.items() if a is not None}
    with pytest.raises(ConversionError, match=message):
        fit(state)


# --- trunks and LPIPS


def trunk(net, name="features.{}"):
    """Arrays of narrow layers under torchvision's names."""
    state, inputs = {}, 3
    for index, step in enumerate(TRUNKS[net].steps):
        layers = {"conv": [("", 4, step.kernel)]}
        layers["fire"] = [(".squeeze", 2, 1), (".expand1x1", 3, 1), (".expand3x3", 2, 3)]
        for part, outputs, kernel in layers.get(step.kind, ()):
            source = 2 if part.startswith(".expand") else inputs
            full = f"{name.format(index)}{part}"
            state[f"{full}.weight"] = normal(outputs, source, kernel, kernel)
            state[f"{full}.bias"] = normal(outputs)
        inputs = {"conv": 4, "fire": 5}.get(step.kind, inputs)
    return state


def heads(net):
    sizes = {"vgg16": [4] * 5, "alexnet": [4] * 5, "squeezenet1_1": [4] + [5] * 6}[net]
    return {f"lin{i}.model.1.weight": normal(1, c, 1, 1) for i, c in enumerate(sizes)}


def whole(net):
    """A full LPIPS: the trunk in slices, the heads twice, the scaling layer."""
    taps = TRUNKS[net].taps
    linear = heads(net)
    state = {
        f"scaling_layer.{name}": np.array(values, np.float32)[None, :, None, None]
        for name, values in (("shift", SHIFT), ("scale", SCALE))
    }
    for name, array in trunk(net, "{}").items():
        index = int(name.split(".")[0])
        state[f"net.slice{1 + sum(index > tap for tap in taps)}.{name}"] = array
    return state | linear | {n.replace("lin", "lins.", 1): a for n, a in linear.items()}


@pytest.mark.parametrize("net", TRUNKS)
def test_trunks_are_told_apart(net):
    state = trunk(net) | {"classifier.1.weight": normal(3, 4), "classifier.1.bias": normal(3)}
    config, arrays, _ = fit(state)
    assert config.net == net
    np.testing.assert_array_equal(arrays["layers/0/bias"], state["features.0.bias"])


@pytest.mark.parametrize("net", TRUNKS)
def test_a_whole_lpips_and_one_of_two_files_are_the_same(net, tmp_path):
    state = whole(net)
    config, arrays, notices = fit(state)
    assert config.trunk.net == net
    assert config.version == "0.1"
    assert "taken to be 0.1" in notices[0]
    features = {
        f"features.{n.split('.', 2)[2]}": a for n, a in state.items() if n.startswith("net.slice")
    }
    linear = {n: a for n, a in state.items() if n.startswith("lin") and not n.startswith("lins")}
    path = save_state(tmp_path / "heads.pth", linear)
    joined, same, _ = fit(features, heads=str(path), version="0.0")
    assert joined.version == "0.0"
    for name, array in arrays.items():
        np.testing.assert_array_equal(same[name], array)


def test_heads_alone_need_their_trunk(tmp_path):
    with pytest.raises(ConversionError, match=r"heads without their trunk: convert .* heads=FILE"):
        fit(heads("alexnet"))
    path = save_state(tmp_path / "heads.pth", heads("squeezenet1_1"))
    with pytest.raises(ConversionError, match=r"unexpected: lin5"):
        fit(trunk("alexnet"), heads=str(path))
    with pytest.raises(ConversionError, match=r"option heads=.*: no such file"):
        fit(trunk("alexnet"), heads=str(tmp_path / "none.pth"))
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ConversionError, match=r"option heads=.*system"):
        fit(trunk("alexnet"), heads=str(path))


@pytest.mark.parametrize(
    ("tree", "format", "options", "message"),
    [
        (trunk("alexnet"), None, {"version": "0.1"}, "give its heads too"),
        (trunk("alexnet"), None, {"version": "3"}, "expected 0.0 or 0.1"),
        (whole("vgg16"), None, {"version": "3"}, "expected 0.0 or 0.1"),
        (trunk("vgg16", "stem.{}"), "torchvision-trunk", {}, r"missing features\.0\.weight"),
        (trunk("vgg16") | {"features.99.weight": normal(1)}, "torchvision-trunk", {}, "of none of"),
        (whole("vgg16") | {"net.slice2.0.weight": normal(1)}, None, {}, "a layer twice"),
        (whole("vgg16") | {"scaling_layer.shift": normal(3)}, None, {}, "shift is not LPIPS's"),
        (trunk("vgg16"), "lpips", {}, r"missing lin0\.model\.1\.weight"),
    ],
)
def test_what_does_not_fit_is_explained(tree, format, options, message):
    with pytest.raises(ConversionError, match=message):
        fit(tree, format, **options)


# --- pSp and e4e


@cache
def e4e():
    return read_checkpoint(OWN / "e4e_small" / "best_model.pt").tree


def with_opts(**changes):
    opts = {k: v for k, v in {**e4e()["opts"], **changes}.items() if v is not None}
    return {**e4e(), "opts": opts}


def test_encoder_and_decoder_come_together():
    config, arrays, notices = fit(e4e())
    assert (config.kind, config.num_codes, config.code_dim) == ("e4e", 8, 28)
    assert config.decoder.resolution == 32
    np.testing.assert_array_equal(arrays["latent_avg"], e4e()["latent_avg"])
    assert any("no mean w" in notice for notice in notices)


def test_the_decoder_alone_on_request():
    config, arrays, notices = fit(e4e(), "rosinality-stylegan2")
    assert config == fit(e4e())[0].decoder
    assert any("the encoder in the file is left out" in notice for notice in notices)
    assert any("no mean w, but one code for each layer" in notice for notice in notices)
    rows = np.broadcast_to(normal(28), (8, 28))
    _, arrays, notices = fit({**e4e(), "latent_avg": rows}, "rosinality-stylegan2")
    np.testing.assert_array_equal(arrays["mapping/w_avg"], rows[0])
    assert not any("no mean w" in notice for notice in notices)


def test_the_class_of_an_encoder_is_asked_for():
    silent = {k: v for k, v in e4e().items() if k != "opts"}
    with pytest.raises(ConversionError, match="encoder_type=GradualStyleEncoder or"):
        fit(silent)
    assert fit(silent, encoder_type="GradualStyleEncoder")[0].kind == "psp"
    assert fit(with_opts(encoder_type="GradualStyleEncoder"))[0].kind == "psp"
    with pytest.raises(ConversionError, match=r"opts.encoder_type is 'Mine'; known are"):
        fit(with_opts(encoder_type="Mine"))
    with pytest.raises(ConversionError, match=r"no encoder of the kind w\+, but psp or e4e"):
        fit(with_opts(encoder_type="BackboneEncoderUsingLastLayerIntoWPlus"))
    with pytest.raises(ConversionError, match="expected one of GradualStyleEncoder, "):
        fit(silent, encoder_type="psp")


def test_the_mean_code_is_added_if_the_training_added_it():
    _, arrays, _ = fit(with_opts(start_from_latent_avg=False))
    assert not arrays["latent_avg"].any()
    without = {k: v for k, v in e4e().items() if k != "latent_avg"}
    with pytest.raises(ConversionError, match="the file has no latent_avg"):
        fit(without)
    told = with_opts(start_from_latent_avg=None)
    _, arrays, notices = fit({k: v for k, v in told.items() if k != "latent_avg"})
    assert not arrays["latent_avg"].any()
    assert any("nothing is added" in notice for notice in notices)


def test_an_encoder_without_its_decoder():
    state = {n: a for n, a in e4e()["state_dict"].items() if n.startswith("encoder.")}
    bare = {n.removeprefix("encoder."): a for n, a in state.items()}
    for arrays in (state, {f"module.{n}": a for n, a in state.items()}, bare):
        config, _, notices = fit(arrays, encoder_type="Encoder4Editing")
        assert config.decoder is None
        assert any("nothing is added" in notice for notice in notices)


def backbone(**more):
    """The golden's file with another head on its encoder."""
    heads = ("encoder.styles", "encoder.latlayer")
    state = {n: a for n, a in e4e()["state_dict"].items() if not n.startswith(heads)}
    return {**with_opts(encoder_type=None), "state_dict": state | more}


def test_encoders_into_w():
    linear = {"encoder.linear.weight": normal(28, 28), "encoder.linear.bias": normal(28)}
    config, arrays, _ = fit(backbone(**linear))
    assert (config.kind, config.num_codes, config.code_dim) == ("w", 8, 28)
    first = e4e()["latent_avg"][:1]
    np.testing.assert_array_equal(arrays["latent_avg"], np.broadcast_to(first, (8, 28)))


def test_encoders_into_w_plus():
    pooled = normal(28, 28, 7, 7)
    more = {
        "encoder.linear.weight": normal(8 * 28, 28),
        "encoder.linear.bias": normal(8 * 28),
        "encoder.output_layer_2.3.weight": pooled.reshape(28, -1),
        "encoder.output_layer_2.3.bias": normal(28),
    } | norm("encoder.output_layer_2.0", 28)
    config, arrays, _ = fit(backbone(**more))
    assert (config.kind, config.num_codes, config.code_dim) == ("w+", 8, 28)
    weight = arrays["reader/weight"].reshape(7, 7, 28, 28)
    np.testing.assert_array_equal(weight, pooled.transpose(2, 3, 1, 0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder.body.5.res_layer.1.weight": None}, r"missing: encoder\.body\.5\.res_layer\.1"),
        ({"encoder.latlayer3.weight": normal(1)}, r"unexpected: encoder\.latlayer3\.weight"),
        ({"discriminator.a": normal(1)}, r"unexpected: discriminator\.a"),
        ({f"encoder.styles.{i}.linear.weight": normal(1) for i in range(8, 99)}, "99 styles"),
        ({"decoder.conv1.conv.weight": None}, r"missing: conv1\.conv\.weight"),
    ],
)
def test_odd_encoders_are_explained(changes, message):
    state = {**e4e()["state_dict"], **changes}
    state = {n: a for n, a in state.items() if a is not None}
    with pytest.raises(ConversionError, match=message):
        fit({**e4e(), "state_dict": state})


def test_the_decoder_is_a_generator():
    encoder = convert(OWN / "e4e_small" / "best_model.pt").model
    assert encoder.decoder.image_shape == (32, 32, 3)
    assert encoder.decoder.code_mean.any()  # estimated: the golden's rows of latent_avg differ


# --- odd trees


@pytest.mark.parametrize(
    ("tree", "count"), [(resnet, 60), (lambda: whole("alexnet"), 60), (e4e, 25)]
)
def test_odd_values_anywhere_are_refused_or_harmless(tree, count):
    tree, chooser = tree(), random.Random(0)
    known = detect(tree).name
    paths = list(places(tree))
    chosen = chooser.sample(paths, min(count, len(paths)))
    refused = 0
    for path in chosen:
        for value in (..., *chooser.sample(ODD, 2)):
            with contextlib.suppress(UserError):
                fit(replaced(tree, path, value), known)
                continue
            refused += 1
    assert refused > len(chosen)

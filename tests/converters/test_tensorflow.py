"""TensorFlow pickles: settings, variables of parts, labels, fused layers, and what is refused."""

import dataclasses

import forge
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled

from converters import ConversionError, convert, detect
from jaxlatent.generators import PGGANConfig, StyleGAN1Config
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import repeat_pixels
from jaxlatent.parameters import parameters

SETTINGS = {"mapping_lrmul": 0.1, "resolution": 16, "style_mixing_prob": 0.9}
STYLEGAN2 = dataclasses.replace(STYLEGAN2_CONFIG, mapping_lr_multiplier=0.1)


def stylegan2(config, **settings):
    """Returns a generator, and the network of NVIDIA's code that has the same parameters."""
    generator = filled(config)
    parts = {"mapping": {}, "synthesis": {}}
    own = {"lod": np.float32(0)}
    for path, value in parameters(generator).items():
        name, array = path.split("/"), np.asarray(value)
        if path == "mapping/w_avg":
            own["dlatent_avg"] = array
        elif path == "const":
            parts["synthesis"]["4x4/Const/const"] = array.transpose(2, 0, 1)[None]
        elif name[0] == "mapping":
            label = "LabelConcat" if config.label_norm == "joint" else "LabelEmbed"
            owner = label if name[1] == "embed" else f"Dense{name[2]}"
            parts["mapping"][f"{owner}/{name[-1]}"] = array
        else:
            block, layer, leaf = int(name[1]), name[2], "/".join(name[3:])
            owner = {"conv0": "Conv0_up", "torgb": "ToRGB", "skip": "Skip"}.get(layer, "Conv1")
            owner = "Conv" if owner == "Conv1" and not block else owner
            prefix = f"{4 << block}x{4 << block}/{owner}"
            if leaf == "noise":
                number = max(0, 2 * block - (layer == "conv0"))
                parts["synthesis"][f"noise{number}"] = array[None, None]
            elif leaf == "affine/bias":
                parts["synthesis"][f"{prefix}/mod_bias"] = array - 1
            elif leaf == "noise_strength":
                parts["synthesis"][f"{prefix}/noise_strength"] = np.float32(array)
            else:
                name = {"affine/weight": "mod_weight", "bias": "bias"}.get(leaf, "weight")
                parts["synthesis"][f"{prefix}/{name}"] = array
    settings = {"mapping_lrmul": config.mapping_lr_multiplier, **settings}
    networks = {n: forge.Network(v, static_kwargs=settings) for n, v in parts.items()}
    whole = forge.Network(own, static_kwargs=settings, components=networks, version=4)
    return generator, whole


def stylegan1(config, **settings):
    """As `stylegan2`; an up-sampling kernel is stored flipped where it is fused."""
    generator = filled(config)
    mapping, synthesis = {}, {"lod": np.float32(9)}
    own = {"lod": np.float32(config.lod)}
    for path, value in parameters(generator).items():
        name, array = path.split("/"), np.asarray(value)
        if path == "mapping/w_avg":
            own["dlatent_avg"] = array
        elif path == "mapping/embed":
            mapping["LabelConcat/weight"] = array
        elif name[0] == "mapping":
            mapping[f"Dense{name[2]}/{name[-1]}"] = array
        elif path == "const":
            synthesis["4x4/Const/const"] = array.transpose(2, 0, 1)[None]
        elif name[2] == "torgb":
            leaf = "bias" if name[-1] == "bias" else "weight"
            lod = len(config.channels) - 1 - int(name[1])
            synthesis[f"ToRGB_lod{lod}/{leaf}"] = array
        else:
            block, second, leaf = int(name[1]), int(name[3]), "/".join(name[4:])
            owner = (("Conv0_up", "Conv1") if block else ("Const", "Conv"))[second]
            fused = settings.get("fused_scale") is True and owner == "Conv0_up"
            array = array[::-1, ::-1] if leaf == "kernel" and fused else array
            prefix = f"{4 << block}x{4 << block}/{owner}"
            name = {
                "kernel": f"{prefix}/weight",
                "noise": f"noise{2 * block + second}",
                "noise_strength": f"{prefix}/Noise/weight",
            }.get(leaf, f"{prefix}/{leaf.replace('affine', 'StyleMod')}")
            synthesis[name] = array[None, None] if leaf == "noise" else array
    settings = {"mapping_lrmul": config.mapping_lr_multiplier, **settings}
    parts = {"mapping": forge.Network(mapping), "synthesis": forge.Network(synthesis)}
    return generator, forge.Network(own, static_kwargs=settings, components=parts, version=3)


def pggan(config, **settings):
    """As `stylegan2`, with up-sampling convolutions fused or not."""
    generator = filled(config)
    fused = settings.get("fused_scale", False)
    variables = {"lod": np.float32(config.lod)}
    for path, value in parameters(generator).items():
        (_, block, layer, leaf), array = path.split("/"), np.asarray(value)
        side = f"{4 << int(block)}x{4 << int(block)}"
        name = {"conv0": f"{side}/Conv0", "conv1": f"{side}/Conv1"}.get(layer)
        if layer == "torgb":
            name = f"ToRGB_lod{len(config.channels) - 1 - int(block)}"
        elif block == "0":
            name = {"conv0": "4x4/Dense", "conv1": "4x4/Conv"}[layer]
            if path == "blocks/0/conv0/kernel":
                array = array.transpose(2, 3, 0, 1).reshape(array.shape[2], -1)
        elif layer == "conv0" and fused:
            name = f"{side}/Conv0_up"
            if leaf == "kernel":
                array = array.transpose(0, 1, 3, 2)[::-1, ::-1]
        variables[f"{name}/{'bias' if leaf == 'bias' else 'weight'}"] = array
    return generator, forge.Network(variables, static_kwargs=settings, version=2)


def write(tmp_path, root, **options):
    path = tmp_path / "network.pkl"
    path.write_bytes(forge.tensorflow(root, **options))
    return path


SMALL = {"z_dim": 6, "channels": (5, 4, 3)}
STYLEGAN1 = StyleGAN1Config(
    **SMALL, w_dim=7, mapping_widths=(8, 7), mapping_lr_multiplier=0.1, img_channels=1
)
PGGAN = PGGANConfig(**SMALL)


def check(converted, generator):
    ours = parameters(converted.model)
    assert converted.model.config == generator.config
    for name, value in parameters(generator).items():
        np.testing.assert_allclose(ours[name], value, atol=1e-6, err_msg=name)


LABELS = {"c_dim": 3, "embed_dim": 6}
VARIANTS = {
    "skip": ({}, {}),
    "resnet": ({"architecture": "resnet"}, {"architecture": "resnet"}),
    "orig": ({"architecture": "orig", "img_channels": 1}, {"architecture": "orig"}),
    "labels of ADA": ({**LABELS, "embed_dim": 4}, {"label_size": 3, "label_fmaps": 4}),
    "labels of 2019": ({**LABELS, "label_norm": "joint"}, {"label_size": 3}),
    "clamp": ({"conv_clamp": 256.0}, {"conv_clamp": 256, "num_fp16_res": 4}),
    "silent": ({"use_noise": False}, {"use_noise": False}),
    "activations": (
        {"activation": "relu", "mapping_activation": "tanh"},
        {"nonlinearity": "relu", "mapping_nonlinearity": "tanh"},
    ),
    "filter": (
        {"resample_filter": (0.25, 0.75), "image_filter": (0.25, 0.75)},
        {"resample_kernel": [1, 3]},
    ),
    "filter of 2-D": (
        {"resample_filter": (0.25, 0.75), "image_filter": (0.25, 0.75)},
        {"resample_kernel": [[1, 3], [3, 9]]},
    ),
    "no filter": (
        {"resample_filter": (0.5, 0.5), "image_filter": (0.5, 0.5)},
        {"resample_kernel": None},
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_option_of_stylegan2_is_read(tmp_path, variant):
    changes, settings = VARIANTS[variant]
    generator, network = stylegan2(dataclasses.replace(STYLEGAN2, **changes), **settings)
    converted = convert(write(tmp_path, (None, None, network)))
    assert converted.format == "nvidia-tf-stylegan2"
    assert converted.notices == ()
    check(converted, generator)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_the_average_network_is_taken_from_every_protocol(tmp_path, protocol):
    generator, average = stylegan2(STYLEGAN2)
    raw = forge.Network({"dlatent_avg": np.ones(3)}, static_kwargs={"mapping_lrmul": 5.0})
    check(convert(write(tmp_path, (raw, raw, average), protocol=protocol)), generator)
    check(convert(write(tmp_path, average, protocol=protocol)), generator)


def test_unknown_settings_are_told(tmp_path):
    _, network = stylegan2(STYLEGAN2, glow=1)
    (notice,) = convert(write(tmp_path, network)).notices
    assert "not known" in notice
    assert "glow" in notice


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalize_latents": False}, r"not read: normalize_latents; expected .* True"),
        ({"resample_kernel": "box"}, "resample_kernel is odd: a str"),
        ({"resample_kernel": []}, "resample_kernel is no filter"),
        ({"resample_kernel": [[1, 2], 3]}, "resample_kernel is no filter"),
        ({"resample_kernel": [[1, 2], [3, 4]]}, "not the product of 1-D taps"),
        ({"resample_kernel": [float("nan")]}, "not the product of 1-D taps"),
        ({"resample_kernel": [1] * 10_000}, "resample_kernel is no filter"),
        ({"mapping_lrmul": None}, "mapping_lrmul is odd: a NoneType"),
        ({"mapping_lrmul": float("inf")}, "mapping_lr_multiplier must be in"),
        ({"architecture": "unet"}, "architecture must be skip, resnet or orig"),
        ({"nonlinearity": "sine"}, "activation must be one of"),
        ({"conv_clamp": -1}, "conv_clamp must be positive"),
        ({"architecture": "orig"}, "unexpected: synthesis/4x4/ToRGB"),
    ],
)
def test_odd_settings_are_explained(tmp_path, settings, message):
    _, network = stylegan2(STYLEGAN2, **settings)
    with pytest.raises(ConversionError, match=message):
        convert(write(tmp_path, network))


def test_growing_stylegan2_is_refused_by_name(tmp_path):
    _, network = stylegan2(STYLEGAN2)
    synthesis = network.state["components"]["synthesis"]
    synthesis.state["variables"] += [("ToRGB_lod0/bias", np.zeros(3))]
    with pytest.raises(ConversionError, match=r"configuration B, C or D .*ToRGB_lod"):
        convert(write(tmp_path, network))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"variables": 5}, "variables of the pickled network is no list"),
        ({"variables": [("a",)]}, "variables of the pickled network are malformed"),
        ({"variables": [(1, np.ones(2))]}, "variables of the pickled network are malformed"),
        ({"variables": [("a", "b")]}, "variables of the pickled network are malformed"),
        ({"variables": [("a", 1), ("a", 2)]}, "two variables a"),
        ({"components": []}, "components of the pickled network does not map"),
        ({"static_kwargs": 3}, "static_kwargs of the pickled network does not map"),
        ({"variables": []}, "no dict of named arrays"),
        ({"variables": [("a", 1.0)]}, "missing mapping/Dense0/weight.*the file has a"),
    ],
)
def test_malformed_networks_are_explained(tmp_path, state, message):
    network = forge.Network({})
    network.state |= state
    with pytest.raises(ConversionError, match=message):
        convert(write(tmp_path, (network,) * 3), format="nvidia-tf-stylegan2")


def test_parts_without_end_are_refused(tmp_path):
    node = {"class_name": "tfutil.Network"}
    for _ in range(20):
        node = {"class_name": "tfutil.Network", "components": {"a": node}}
    wide = {"class_name": "tfutil.Network", "components": {str(i): node for i in range(200)}}
    for root in (node, wide):
        with pytest.raises(ConversionError, match="no known network"):
            detect(root)


def test_other_files_are_refused_as_tensorflow(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict({"conv0.weight": np.ones((2, 2))})))
    message = r"do not fit this format: missing \(G, D, Gs\).*the file has conv0\.weight"
    with pytest.raises(ConversionError, match=message):
        convert(path, format="nvidia-tf-stylegan2")


STYLEGAN1_VARIANTS = {
    "plain": ({}, {"mapping_nonlinearity": "lrelu", "structure": "recursive"}),
    "fused": ({}, {"fused_scale": True}),
    "not fused": ({}, {"fused_scale": False, "dlatent_avg_beta": None}),
    "labels": ({"c_dim": 3, "embed_dim": 6}, {"label_size": 3}),
    "no blur": ({"blur_filter": (1.0,)}, {"blur_filter": None}),
    "blur": ({"blur_filter": (0.5, 0.25, 0.25)}, {"blur_filter": [2, 1, 1]}),
    "one image": ({"all_images": False}, {"structure": "fixed"}),
}


@pytest.mark.parametrize("variant", STYLEGAN1_VARIANTS)
def test_every_option_of_stylegan1_is_read(tmp_path, variant):
    changes, settings = STYLEGAN1_VARIANTS[variant]
    generator, network = stylegan1(dataclasses.replace(STYLEGAN1, **changes), **settings)
    converted = convert(write(tmp_path, (None, None, network)))
    assert (converted.format, converted.notices) == ("nvidia-tf-stylegan1", ())
    check(converted, generator)


def test_large_convolutions_are_fused_unless_the_file_says_otherwise(tmp_path):
    config = dataclasses.replace(STYLEGAN1, channels=(1,) * 7)
    generator, network = stylegan1(config, fused_scale="auto")
    converted = parameters(convert(write(tmp_path, network)).model)
    for name, value in parameters(generator).items():
        flip = name in ("blocks/5/layers/0/kernel", "blocks/6/layers/0/kernel")
        expected = value[::-1, ::-1] if flip else value
        np.testing.assert_array_equal(converted[name], expected, err_msg=name)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("changes", [{}, {"c_dim": 2}, {"img_channels": 1}])
def test_every_option_of_pggan_is_read(tmp_path, fused, changes):
    config = dataclasses.replace(PGGAN, **changes)
    settings = {"label_size": config.c_dim, "fused_scale": fused, "mbstd_group_size": 16}
    generator, network = pggan(config, **settings)
    converted = convert(write(tmp_path, (None, None, network), name="tfutil.Network"))
    assert (converted.format, converted.notices) == ("nvidia-tf-pggan", ())
    check(converted, generator)


def test_a_fused_kernel_flipped_is_the_transposed_convolution_of_its_four_shifts():
    random = np.random.RandomState(0)
    x, kernel = random.standard_normal((4, 5)), random.standard_normal((3, 3))
    padded = np.pad(kernel, 1)
    wide = padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]
    spread = np.zeros((2 * 4 + 2, 2 * 5 + 2))
    for i, j in np.ndindex(4, 5):
        spread[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += x[i, j] * wide
    flipped = jnp.asarray(kernel[::-1, ::-1, None, None])
    ours = conv(repeat_pixels(jnp.asarray(x[None, :, :, None])), flipped, (1, 1))
    np.testing.assert_allclose(ours[0, :, :, 0], spread[1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize(("make", "config"), [(stylegan1, STYLEGAN1), (pggan, PGGAN)])
def test_growing_networks_keep_their_level_of_detail(tmp_path, make, config):
    generator, network = make(dataclasses.replace(config, lod=1.25))
    converted = convert(write(tmp_path, network))
    assert converted.notices == (
        "saved while the network grew: images are those of its level of detail 1.25",
    )
    check(converted, generator)
    for level, message in ((7.0, r"lod must be in \[0, 2\]"), (np.nan, r"lod must be in")):
        variables = [(n, level if n == "lod" else v) for n, v in network.state["variables"]]
        network.state["variables"] = variables
        with pytest.raises(ConversionError, match=message):
            convert(write(tmp_path, network))
    network.state["variables"] += [("odd", 1)]
    network.state["variables"] = [
        (n, np.zeros(2) if n == "lod" else v) for n, v in network.state["variables"]
    ]
    with pytest.raises(ConversionError, match=r"lod must be one number, got \[2\]"):
        convert(write(tmp_path, network))


@pytest.mark.parametrize(
    ("make", "config", "settings", "message"),
    [
        (
            stylegan1,
            STYLEGAN1,
            {"use_noise": False},
            "not read: use_noise; expected use_noise True",
        ),
        (stylegan1, STYLEGAN1, {"use_pixel_norm": True}, "use_pixel_norm False"),
        (stylegan1, STYLEGAN1, {"nonlinearity": "relu"}, "nonlinearity 'lrelu'"),
        (stylegan1, STYLEGAN1, {"fused_scale": "maybe"}, "True or False or 'auto'"),
        (stylegan1, STYLEGAN1, {"use_wscale": np.ones(2)}, "not read: use_wscale"),
        (stylegan1, STYLEGAN1, {"blur_filter": [1, 1]}, "odd number of taps"),
        (stylegan1, STYLEGAN1, {"blur_filter": [1, -1]}, "not the product of 1-D taps"),
        (pggan, PGGAN, {"use_leakyrelu": False}, "use_leakyrelu True"),
        (pggan, PGGAN, {"pixelnorm_epsilon": 1e-4}, "pixelnorm_epsilon 1e-08"),
        (pggan, PGGAN, {"label_size": 9}, "label_size is 9, .* reads 6 numbers"),
        (pggan, PGGAN, {"label_size": "two"}, "label_size is odd: a str"),
    ],
)
def test_odd_settings_of_growing_networks_are_explained(tmp_path, make, config, settings, message):
    _, network = make(config, **settings)
    with pytest.raises(ConversionError, match=message):
        convert(write(tmp_path, network))


@pytest.mark.parametrize("format", [None, "nvidia-tf-pggan", "nvidia-tf-stylegan2"])
def test_theano_networks_are_refused_with_advice(tmp_path, format):
    spec = {"func": "G_paper", "resolution": 32}
    network = forge.Network({}, build_func_spec=spec, param_values=[np.ones((2, 2))])
    del network.state["variables"]
    path = write(tmp_path, (network,) * 3, protocol=2, name="network.Network")
    with pytest.raises(ConversionError, match=r"Theano code .*misc\.load_pkl .* convert the new"):
        convert(path, format)

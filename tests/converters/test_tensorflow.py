"""TensorFlow pickles: settings, variables of parts, labels, and what is refused."""

import dataclasses

import forge
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled

from converters import ConversionError, convert, detect
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


def write(tmp_path, root, **options):
    path = tmp_path / "network.pkl"
    path.write_bytes(forge.tensorflow(root, **options))
    return path


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
        with pytest.raises(ConversionError, match="no known generator"):
            detect(root)


def test_other_files_are_refused_as_tensorflow(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict({"conv0.weight": np.ones((2, 2))})))
    message = r"do not fit this format: missing \(G, D, Gs\).*the file has conv0\.weight"
    with pytest.raises(ConversionError, match=message):
        convert(path, format="nvidia-tf-stylegan2")

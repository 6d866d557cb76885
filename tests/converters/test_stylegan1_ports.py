"""Ports of StyleGAN to PyTorch: huangzh13's, and lernapparat's, from which it comes."""

from functools import cache
from pathlib import Path

import forge
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from converters import ConversionError, convert, read_checkpoint
from jaxlatent.parameters import parameters

FILE = Path(__file__).parents[1] / "goldens" / "huangzh13_stylegan_res32" / "checkpoint.pth"
BLUR = ".conv0_up.intermediate.kernel"
NOISE = "the file has no constant noise maps"


@cache
def arrays():
    return dict(read_checkpoint(FILE).tree)


def lernapparat():
    """Returns the golden under lernapparat's names, which hold the same layers."""
    found = {}
    for name, array in arrays().items():
        name = name.replace("g_mapping.map.", "g_mapping.")
        name = name.replace("g_synthesis.init_block", "g_synthesis.blocks.4x4")
        name = name.replace("g_synthesis.to_rgb.3", "g_synthesis.torgb")
        for i in range(3):
            name = name.replace(f"blocks.{i}.", f"blocks.{8 << i}x{8 << i}.")
        if not name.startswith(("g_synthesis.to_rgb", "truncation")):
            found[name] = array
    return found


def converted(tmp_path, state, **options):
    path = tmp_path / "model.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict(state)))
    return convert(path, options=options)


def test_lernapparats_files_hold_the_same_network(tmp_path):
    found = converted(tmp_path, lernapparat())
    assert found.format == "lernapparat-stylegan1"
    ours, theirs = parameters(found.model), parameters(convert(FILE).model)
    images = {f"blocks/{i}/torgb/{leaf}" for i in range(3) for leaf in ("kernel", "bias")}
    assert set(theirs) - set(ours) == images
    for name in set(ours) - {"mapping/w_avg"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert [n for n in found.notices if "no mean w; estimated" in n]
    mapped = found.model.map(found.model.sample_z(jax.random.key(1), 4096))
    deviation = jnp.abs(mapped.mean(axis=0) - ours["mapping/w_avg"])
    assert float(deviation.max()) < 0.1 * float(mapped.std())
    with_mean = lernapparat() | {"truncation.avg_latent": arrays()["truncation.avg_latent"]}
    again = parameters(converted(tmp_path, with_mean).model)
    np.testing.assert_array_equal(again["mapping/w_avg"], theirs["mapping/w_avg"])


def test_what_the_file_leaves_open_is_told(tmp_path):
    multiplier, noise, depth, alpha = convert(FILE).notices
    assert depth.startswith("depth is not in the file; 3 taken, all resolutions")
    assert alpha.startswith("alpha is not in the file; 1.0 taken")
    assert multiplier.startswith("mapping_lr_multiplier is not in the file; 0.01 fits")
    assert noise.startswith(NOISE)
    found = converted(tmp_path, arrays(), mapping_lr_multiplier="0.02", depth="3", alpha="1")
    assert found.model.config.mapping_lr_multiplier == 0.02
    assert [n.startswith(NOISE) for n in found.notices] == [True]


def test_a_network_that_is_still_growing(tmp_path):
    whole = convert(FILE).model
    part = converted(tmp_path, arrays(), depth="2", alpha="0.75").model
    assert part.image_shape == (16, 16, 3)
    assert part.num_layers == 6
    assert part.config.lod == 0.25
    ours, theirs = parameters(part), parameters(whole)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
    assert converted(tmp_path, arrays(), depth="0", alpha="0.5").model.config.lod == 0
    with pytest.raises(ConversionError, match=r"depth must be in 0 to 3 .* got 4"):
        converted(tmp_path, arrays(), depth="4")
    with pytest.raises(ConversionError, match="alpha=2: expected a number from 0 to 1"):
        converted(tmp_path, arrays(), alpha="2")


def test_classes_are_embedded_and_normalised_with_z(tmp_path):
    state = {k: v for k, v in arrays().items() if not k.startswith("truncation")}
    state["class_embedding.weight"] = np.ones((10, 12), np.float32)
    found = converted(tmp_path, state)
    config = found.model.config
    assert (config.z_dim, config.embed_dim, config.c_dim) == (20, 12, 10)
    assert not config.has_w_avg
    assert "the file has no mean w, so codes cannot be truncated" in found.notices


def test_blurs_are_read_from_the_file_and_must_agree(tmp_path):
    bare = {k: v for k, v in arrays().items() if not k.endswith(BLUR)}
    assert converted(tmp_path, bare).model.config.blur_filter == (1.0,)
    box = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    blurs = {f"g_synthesis.blocks.{i}{BLUR}": box for i in range(3)}
    blur = converted(tmp_path, bare | blurs).model.config.blur_filter
    np.testing.assert_allclose(blur, (1 / 3,) * 3, atol=1e-6)
    for change in ({f"g_synthesis.blocks.0{BLUR}": box}, {f"g_synthesis.blocks.9{BLUR}": box}):
        with pytest.raises(ConversionError, match="convolutions differ"):
            converted(tmp_path, arrays() | change)
    with pytest.raises(ConversionError, match="not the product of 1-D taps"):
        converted(tmp_path, bare | dict.fromkeys(blurs, np.ones((3, 1, 3, 3), np.float32)))


@pytest.mark.parametrize("port", ["huangzh13", "lernapparat"])
def test_large_convolutions_are_fused(tmp_path, port):
    state = dict(arrays() if port == "huangzh13" else lernapparat())
    last = "g_synthesis.blocks.2." if port == "huangzh13" else "g_synthesis.blocks.32x32."
    for i, side in ((3, 64), (4, 128)):
        block = f"g_synthesis.blocks.{i if port == 'huangzh13' else f'{side}x{side}'}."
        for name in [n for n in state if n.startswith(last)]:
            state[name.replace(last, block)] = state[name]
        kernel = state[f"{last}conv1.weight"]
        state[f"{block}conv0_up.weight"] = kernel
        if port == "huangzh13":
            state[f"g_synthesis.to_rgb.{i + 1}.weight"] = state["g_synthesis.to_rgb.3.weight"]
            state[f"g_synthesis.to_rgb.{i + 1}.bias"] = state["g_synthesis.to_rgb.3.bias"]
    ours = parameters(converted(tmp_path, state).model)
    plain, fused = (ours[f"blocks/{i}/layers/0/kernel"] for i in (4, 5))
    np.testing.assert_array_equal(plain, kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(fused, kernel.transpose(2, 3, 1, 0)[::-1, ::-1])


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("g_mapping.map.dense0.weight", "huangzh13-stylegan1"),
        ("g_synthesis.blocks.4x4.const", "lernapparat-stylegan1"),
    ],
)
def test_the_wrong_port_is_refused(tmp_path, name, format):
    state = lernapparat() if format.startswith("huang") else dict(arrays())
    path = tmp_path / "model.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict(state)))
    with pytest.raises(ConversionError, match=f"missing .*{name}"):
        convert(path, format)
    state.pop(next(n for n in state if n.endswith("epi1.style_mod.lin.bias")))
    with pytest.raises(ConversionError, match=r"missing: .*epi1\.style_mod\.lin\.bias"):
        converted(tmp_path, state)

"""Bundles hold everything, are whole or absent, and say what is wrong with a damaged one."""

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled

import jaxlatent
from benchmarks.parity.goldens import OWN
from jaxlatent import UserError
from jaxlatent.bundle import CONFIG_FILE
from jaxlatent.model import Origin
from jaxlatent.parameters import fingerprint, parameters

CHECKPOINT = OWN / "dcgan_cifar32_gray" / "netG_epoch_299.pth"


@pytest.fixture
def bundle(tmp_path, dcgan):
    jaxlatent.save(dcgan, tmp_path / "model")
    return tmp_path / "model"


def test_everything_survives(tmp_path):
    config = dataclasses.replace(
        STYLEGAN2_CONFIG, conv_clamp=1.5, architecture="resnet", c_dim=2, embed_dim=3
    )
    generator = filled(config)
    generator.origin = Origin("some-format", "file.pkl", "ab" * 32, "some licence")
    jaxlatent.save(generator, tmp_path / "model")
    again = jaxlatent.load(tmp_path / "model")
    assert again.config == config
    assert again.origin == generator.origin
    assert fingerprint(again) == fingerprint(generator)
    for name, array in parameters(generator).items():
        np.testing.assert_array_equal(parameters(again)[name], array)


def test_the_config_is_readable(bundle, dcgan):
    description = json.loads((bundle / CONFIG_FILE).read_text())
    assert description["family"] == "dcgan"
    assert description["fingerprint"] == fingerprint(dcgan)
    assert description["config"]["kernels"] == [4, 4, 4]


def test_half_precision_parameters_survive(tmp_path, dcgan):
    from jaxlatent.parameters import build

    half = {k: jnp.asarray(v, jnp.bfloat16) for k, v in parameters(dcgan).items()}
    jaxlatent.save(build(dcgan.config, half), tmp_path / "model")
    again = parameters(jaxlatent.load(tmp_path / "model"))
    assert all(v.dtype == jnp.bfloat16 for v in again.values())
    np.testing.assert_array_equal(again["layers/0/kernel"], half["layers/0/kernel"])


def test_an_earlier_bundle_is_replaced_and_nothing_is_left_over(bundle):
    generator = filled(STYLEGAN2_CONFIG)
    jaxlatent.save(generator, bundle)
    assert jaxlatent.load(bundle).family == "stylegan2"
    assert [p.name for p in bundle.parent.iterdir()] == ["model"]


def test_a_bundle_that_holds_other_things_is_not_overwritten(bundle, dcgan):
    (bundle / "notes.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds other things"):
        jaxlatent.save(dcgan, bundle)
    assert (bundle / "notes.txt").is_file()


def test_folders_and_links_in_a_bundle_are_not_removed(bundle, dcgan, tmp_path):
    (bundle / "parameters" / "mine").mkdir()
    with pytest.raises(UserError, match="holds other things"):
        jaxlatent.save(dcgan, bundle)
    (bundle / "parameters" / "mine").rmdir()
    file = next(p for p in (bundle / "parameters").iterdir() if p.is_file())
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="holds other things"):
        jaxlatent.save(dcgan, bundle)


def test_a_folder_of_another_tool_is_not_overwritten(tmp_path, dcgan):
    """Many tools call their file config.json."""
    (tmp_path / CONFIG_FILE).write_text('{"model_type": "vit"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(UserError, match="not an earlier result"):
        jaxlatent.save(dcgan, tmp_path)
    assert (tmp_path / "model.safetensors").is_file()


def test_a_full_disk_is_told_before_writing(tmp_path, dcgan, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3 << 20))
    with pytest.raises(UserError, match="need 4 MiB, the disk has 3 MiB left"):
        jaxlatent.save(dcgan, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_failing_disk_is_told_in_one_error(tmp_path, dcgan, monkeypatch):
    import orbax.checkpoint as ocp

    def fail(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing x: No space left on device")

    monkeypatch.setattr(ocp.StandardCheckpointer, "save", fail)
    with pytest.raises(UserError, match="cannot write the parameters: No space left on device"):
        jaxlatent.save(dcgan, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_other_folders_are_not_overwritten(tmp_path, dcgan):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(UserError, match="not an earlier result"):
        jaxlatent.save(dcgan, tmp_path / "thesis")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not an earlier result"):
        jaxlatent.save(dcgan, tmp_path / "file")
    with pytest.raises(UserError, match="there is no folder"):
        jaxlatent.save(dcgan, tmp_path / "none" / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "thesis"]


def test_a_config_of_other_sizes_is_refused(bundle):
    config = json.loads((bundle / CONFIG_FILE).read_text())["config"]
    rewrite(bundle, config=config | {"z_dim": 5})
    with pytest.raises(UserError, match="not those of its config"):
        jaxlatent.load(bundle)


def rewrite(bundle, **changes):
    description = json.loads((bundle / CONFIG_FILE).read_text())
    (bundle / CONFIG_FILE).write_text(json.dumps(description | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "version 99"),
        ({"format": "other"}, "format 'other'"),
        ({"family": "vae"}, "holds a 'vae'"),
        ({"config": {"z_dim": 3}}, "is damaged"),
        ({"config": {"nonsense": 3}}, "is damaged"),
        ({"parameters": {"a": 1}}, "is damaged"),
        ({"parameters": {}}, "not those of its config"),
        ({"files": {}}, "are damaged"),
        ({"files": None}, "is damaged"),
        ({"family": ["dcgan"]}, "holds a"),
        ({"config": []}, "is damaged"),
        ({"parameters": []}, "is damaged"),
        ({"parameters": {"a": {"shape": [1], "dtype": "no such"}}}, "is damaged"),
        ({"origin": []}, "is damaged"),
        ({"origin": {"format": 3}}, "is damaged"),
    ],
)
def test_changed_descriptions_are_refused(bundle, changes, message):
    rewrite(bundle, **changes)
    with pytest.raises(UserError, match=message):
        jaxlatent.load(bundle)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("z_dim", 6.0),
        ("z_dim", "6"),
        ("strides", [1, 2, 2.5]),
        ("strides", 2),
        ("biases", [0, 1, 1]),
        ("norm_epsilon", "1e-5"),
        ("norm_epsilon", None),
        ("activation", 3),
    ],
)
def test_config_values_of_another_type_are_refused(bundle, name, value):
    config = json.loads((bundle / CONFIG_FILE).read_text())["config"]
    rewrite(bundle, config=config | {name: value})
    with pytest.raises(UserError, match="is damaged"):
        jaxlatent.load(bundle)


def test_a_lying_dtype_is_refused(bundle):
    stored = json.loads((bundle / CONFIG_FILE).read_text())["parameters"]
    for dtype in ("object", "int32", "str"):
        lies = {name: {**value, "dtype": dtype} for name, value in stored.items()}
        rewrite(bundle, parameters=lies)
        with pytest.raises(UserError):
            jaxlatent.load(bundle)


def test_damaged_bundles_are_refused(bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="not a model bundle"):
        jaxlatent.load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        jaxlatent.load(tmp_path / "none")
    files = sorted(p for p in (bundle / "parameters").rglob("*") if p.is_file())
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if whole else b"x")
        with pytest.raises(UserError, match=file.name):
            jaxlatent.load(bundle)
        file.unlink()
        with pytest.raises(UserError, match=file.name):
            jaxlatent.load(bundle)
        file.write_bytes(whole)
    assert jaxlatent.load(bundle).family == "dcgan"
    shutil.rmtree(bundle / "parameters")
    with pytest.raises(UserError, match="are damaged"):
        jaxlatent.load(bundle)
    (bundle / CONFIG_FILE).write_text("[" * 200_000)
    with pytest.raises(UserError, match="is damaged"):
        jaxlatent.load(bundle)
    (bundle / CONFIG_FILE).write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        jaxlatent.load(bundle)


def test_checkpoint_files_load_directly(bundle):
    with pytest.warns(UserWarning, match=r"netG.*: not in the file, taken as usual: strides=1,2"):
        generator = jaxlatent.load(CHECKPOINT, options={"image_size": "32"})
    assert generator.origin.file == CHECKPOINT.name
    with pytest.raises(UserError, match="for checkpoint files"):
        jaxlatent.load(bundle, format="torch-dcgan")

"""Exports run without this library and give the same; damaged ones are refused."""

import json

import jax
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import DCGAN_CONFIG, STYLEGAN2_CONFIG, filled
from safetensors.flax import load_file, save_file

import jaxlatent
from converters import convert
from jaxlatent import UserError
from jaxlatent.exports import load_safetensors, save_safetensors, save_stablehlo
from jaxlatent.model import Origin
from jaxlatent.networks import ResNetConfig
from jaxlatent.parameters import cast, fingerprint, parameters


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    generator = filled(STYLEGAN2_CONFIG)
    folder = tmp_path_factory.mktemp("export") / "hlo"
    return generator, folder, save_stablehlo(generator, folder)


def test_programs_give_what_the_generator_gives_for_any_number_of_samples(exported):
    generator, folder, differences = exported
    assert set(differences) == {"map", "synthesize"}
    assert max(differences.values()) < 1e-6
    arrays = load_file(folder / "parameters.safetensors")
    programs = {
        name: jax.export.deserialize(bytearray((folder / f"{name}.stablehlo").read_bytes()))
        for name in differences
    }

    def both(generator, z, codes):
        return generator.broadcast(generator.map(z)), generator.synthesize(codes)

    for n in (1, 5):
        z = generator.sample_z(jax.random.key(1), n)
        codes = programs["map"].call(arrays, z)
        mapped, rendered = jax.jit(both)(generator, z, codes)
        np.testing.assert_allclose(codes, mapped, atol=1e-5)
        images = programs["synthesize"].call(arrays, codes)
        np.testing.assert_allclose(images, rendered, rtol=1e-4, atol=1e-4)
    assert programs["synthesize"].platforms == ("cpu", "cuda", "tpu")


def test_the_manifest_says_what_the_programs_take(exported):
    generator, folder, _ = exported
    manifest = json.loads((folder / "export.json").read_text())
    layers, width = generator.num_layers, generator.code_dim
    assert manifest["programs"]["synthesize"] == [["n", str(layers), str(width)]]
    assert manifest["fingerprint"] == fingerprint(generator)


def test_an_earlier_export_is_replaced_and_nothing_else(exported, tmp_path):
    _, folder, _ = exported
    generator = filled(DCGAN_CONFIG)
    save_stablehlo(generator, folder)
    assert "dcgan" in (folder / "export.json").read_text()
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match=str(tmp_path)):
        save_stablehlo(generator, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_safetensors_round_trip(tmp_path):
    generator = cast(filled(DCGAN_CONFIG), "bfloat16")
    generator.origin = Origin("torch-dcgan", "g.pth", "00", "free")
    save_safetensors(generator, tmp_path / "g.safetensors")
    again = jaxlatent.load(tmp_path / "g.safetensors")
    assert fingerprint(again) == fingerprint(generator)
    assert again.origin == generator.origin
    assert again.config == generator.config


def test_exports_are_converted_again_as_files_and_in_folders(tmp_path):
    generator = cast(filled(DCGAN_CONFIG), "bfloat16")
    save_safetensors(generator, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        assert fingerprint(jaxlatent.load(path)) == fingerprint(generator)
        assert fingerprint(convert(path).model) == fingerprint(generator)
    kinds = {str(a.dtype) for a in parameters(convert(tmp_path, dtype="float32").model).values()}
    assert kinds == {"float32"}


def test_only_generators_become_programs(tmp_path):
    network = filled(ResNetConfig(5, (1, 1), (4, 5), (8, 9), 6))
    with pytest.raises(UserError, match="family resnet, which is exported as safetensors"):
        save_stablehlo(network, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_exports_are_refused(tmp_path):
    save_safetensors(filled(DCGAN_CONFIG), tmp_path / "model.bin")
    data = bytearray((tmp_path / "model.bin").read_bytes())
    assert jaxlatent.load(tmp_path / "model.bin").family == "dcgan", "told by its contents"
    data[-7] ^= 1
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(UserError, match="is damaged: its parameters are not those"):
        jaxlatent.load(tmp_path / "model.bin")


def test_a_bundle_is_converted_to_another_type(tmp_path):
    jaxlatent.save(filled(DCGAN_CONFIG), tmp_path / "model")
    half = convert(tmp_path / "model", dtype="bfloat16").model
    assert "bfloat16" in {str(a.dtype) for a in parameters(half).values()}


def test_files_without_a_model_are_refused(tmp_path):
    file = tmp_path / "g.safetensors"
    for metadata in (None, {"model": "{"}, {"model": '{"family": "gan"}'}, {"model": "[]"}):
        save_file({"a": np.ones(2, np.float32)}, file, metadata)
        with pytest.raises(UserError, match="holds no model"):
            load_safetensors(file)


def test_command(tmp_path):
    save_safetensors(filled(DCGAN_CONFIG), tmp_path / "g.safetensors")
    from jaxlatent.cli import cli

    run = CliRunner().invoke
    arguments = ["export", str(tmp_path / "g.safetensors"), str(tmp_path / "out.safetensors")]
    setting = ["--set", "output_activation=sigmoid"]
    result = run(cli, [*arguments, "--to", "safetensors", *setting])
    assert result.exit_code == 0, result.output
    assert jaxlatent.load(arguments[2]).config.output_activation == "sigmoid"
    result = run(cli, [*arguments[:2], str(tmp_path / "x.png"), "--to", "safetensors"])
    assert isinstance(result.exception, UserError)
    result = run(cli, [*arguments, "--to", "safetensors", "--set", "depth=3"])
    assert "no setting 'depth'" in str(result.exception)

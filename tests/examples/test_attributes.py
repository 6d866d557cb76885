"""The avatars' attributes: drawn by index, read back, and predicted."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from examples.avatars.checkpoints import read_net
from examples.avatars.data import HIDDEN, Avatars, Schema, load, read_schema, split, to_float
from examples.avatars.train_predictor import (
    calibrated,
    calibration_error,
    category_losses,
    fit_temperatures,
)
from jaxlatent.errors import UserError
from jaxlatent.exports import save_safetensors
from jaxlatent.networks import AttributeNet
from jaxlatent.parameters import cast

FOLDER = Path(__file__).parents[2] / "examples" / "avatars"
SCHEMA = Schema({"hair": ("no", "yes"), "hat": ("a", "b", "c")}, {"tilt": (-10.0, 10.0)})


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, Any]]:
    if shutil.which("node") is None:
        pytest.skip("node draws the attributes")
    script = f"""
        import fs from 'node:fs';
        import {{ attributes }} from '{(FOLDER / "attributes.mjs").as_uri()}';
        const options = JSON.parse(fs.readFileSync('{FOLDER / "options.json"}'));
        const drawn = Array.from({{ length: 4000 }}, (_, i) => attributes(options, 0, i));
        console.log(JSON.stringify(drawn));
    """
    command = ["node", "--input-type=module", "-e", script]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_an_avatar_is_what_its_index_says(drawn: list[dict[str, Any]]) -> None:
    assert list(drawn[0]["categories"].values()) == [6, 5, 1, 3, 0, 1, 4, 0, 0, 5]
    assert list(drawn[1]["categories"].values()) == [5, 4, 0, 0, 3, 4, 1, 2, 4, 5]
    tilts = [avatar["factors"]["tilt"] for avatar in drawn[:2]]
    np.testing.assert_allclose(tilts, [6.171620516106486, -6.494794981554151])


def test_attributes_are_balanced_and_independent(drawn: list[dict[str, Any]]) -> None:
    schema = read_schema(FOLDER / "options.json")
    sizes = [len(values) for values in schema.categories.values()]
    table = np.array([list(avatar["categories"].values()) for avatar in drawn])
    for column, size in zip(table.T, sizes, strict=True):
        assert np.bincount(column, minlength=size).min() > 0.8 * len(drawn) / max(size, 6)
    correlation = np.corrcoef(table.T) - np.eye(table.shape[1])
    assert np.abs(correlation).max() < 0.06


def written(folder: Path, count: int = 6) -> Path:
    options = {
        "categories": {n: [[v, v, 1] for v in values] for n, values in SCHEMA.categories.items()},
        "factors": SCHEMA.factors,
    }
    (folder / "options.json").write_text(json.dumps(options))
    np.save(folder / "images.npy", np.zeros((count, 8, 8, 3), np.uint8))
    np.save(folder / "categories.npy", np.array([[0, HIDDEN]] * count, np.int8))
    np.save(folder / "factors.npy", np.linspace(-10, 10, count, dtype=np.float32)[:, None])
    return folder


def test_a_folder_is_read_scaled_and_split(tmp_path: Path) -> None:
    avatars = load(written(tmp_path))
    assert avatars.schema == SCHEMA
    np.testing.assert_allclose(avatars.factors[:, 0], np.linspace(-1, 1, 6), atol=1e-6)
    first, last = split(avatars, 2)
    assert (len(first), len(last)) == (4, 2)


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"render\.mjs"):
        load(tmp_path)
    written(tmp_path)
    np.save(tmp_path / "factors.npy", np.zeros((5, 1), np.float32))
    with pytest.raises(UserError, match="do not belong together"):
        load(tmp_path)
    with pytest.raises(UserError, match="cannot be split"):
        split(load(written(tmp_path)), 6)


def test_hidden_categories_cost_nothing() -> None:
    logits = (jnp.array([[0.0, 2.0], [3.0, 0.0]]), jnp.zeros((2, 3)))
    losses = category_losses(logits, jnp.array([[1, HIDDEN], [HIDDEN, HIDDEN]]))
    np.testing.assert_allclose(losses, [np.log1p(np.exp(-2)), 0], rtol=1e-5)


def test_a_temperature_undoes_overconfidence() -> None:
    random = np.random.RandomState(0)
    logits = 2 * random.standard_normal((20000, 3))
    noise = random.gumbel(size=logits.shape)
    labels = (logits + noise).argmax(1)[:, None]  # drawn from softmax(logits)
    (temperature,) = fit_temperatures([3 * logits], labels)
    assert temperature == pytest.approx(3, rel=0.05)
    assert calibration_error(np.array([0.9, 0.9]), np.array([True, False])) == pytest.approx(0.4)


def test_calibration_is_kept_in_the_network(tmp_path: Path) -> None:
    config = SCHEMA.config(widths=(4,), side=8)
    net = AttributeNet(config, rngs=nnx.Rngs(0))
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (300, 8, 8, 3)).astype(np.uint8)
    labels = random.randint(0, 2, (300, 2)).astype(np.int32)  # nothing to be seen: chance
    found = calibrated(net, Avatars(images, labels, np.zeros((300, 1), np.float32), SCHEMA))
    assert found.config.categories != config.categories
    plain, softer = (n(to_float(jnp.asarray(images[:5])))[0][0] for n in (net, found))
    np.testing.assert_allclose(softer * found.config.categories[0].temperature, plain, atol=1e-5)
    save_safetensors(cast(found, "float16"), tmp_path / "net.safetensors")
    assert read_net(tmp_path / "net.safetensors").config == found.config

"""Directions keep what belongs to them, on disk and through JAX, and refuse what does not fit."""

import dataclasses
import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, filled
from safetensors.numpy import save_file

from converters.directions import import_directions
from jaxlatent import Directions, FingerprintWarning, UserError
from jaxlatent.find import sefa
from jaxlatent.parameters import fingerprint

RANDOM = np.random.RandomState(0)


def some(k=3, m=1, d=7, **fields):
    vectors = RANDOM.standard_normal((k, m, d)).astype(np.float32)
    return Directions.of(vectors, **fields)


def same(a, b):
    for field in dataclasses.fields(a):
        ours, theirs = getattr(a, field.name), getattr(b, field.name)
        if hasattr(ours, "shape"):
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs


@pytest.fixture
def full():
    return Directions(
        vectors=RANDOM.standard_normal((2, 6, 7)).astype(np.float32),
        scores=RANDOM.standard_normal((2, 6)).astype(np.float32),
        mean=RANDOM.standard_normal((6, 7)).astype(np.float32),
        scale=np.array([2.0, 3.0], np.float32),
        intercept=np.array([0.5, -1.0], np.float32),
        names=("smile", "åge"),
        space="w+",
        stage="before",
        layers=(1, 4),
        sign_anchor="towards more",
        method="test",
        parameters={"C": 1.0, "nested": {"a": [1, None]}},
        fingerprint="0123456789abcdef",
    )


def test_everything_survives_the_disk(tmp_path, full):
    path = tmp_path / "d.safetensors"
    full.save(path)
    same(Directions.load(path), full)
    assert [p.name for p in tmp_path.iterdir()] == ["d.safetensors"]


@pytest.mark.usefixtures("lenient")
def test_numbers_of_numpy_are_saved(tmp_path, stylegan2):
    from jaxlatent.find import sefa

    found = sefa(stylegan2.affines(np.arange(2)), np.int64(2)).bind(stylegan2, np.arange(2))
    dataclasses.replace(found, parameters={"rate": np.float32(0.5)}).save(
        tmp_path / "d.safetensors"
    )
    again = Directions.load(tmp_path / "d.safetensors")
    assert (again.layers, again.parameters) == ((0, 1), {"rate": 0.5})


def test_everything_survives_jax(full):
    same(jax.jit(lambda d: d)(full), full)
    doubled = jax.tree.map(lambda x: 2 * x, full)
    np.testing.assert_allclose(doubled.vectors, 2 * full.vectors)
    assert doubled.parameters == full.parameters
    jax.tree.map(lambda _: object(), full)


def test_choosing_and_naming(full):
    one = full[[1]]
    assert (len(one), one.names, float(one.scale[0])) == (1, ("åge",), 3.0)
    np.testing.assert_array_equal(full[::-1].vectors, full.vectors[::-1])
    for i, alone in enumerate(full):
        assert alone.names == full[i].names == full[np.array([i])].names == (full.names[i],)
    assert full.index("smile") == 0
    with pytest.raises(UserError, match="numbered 0 to 1"):
        full[[2]]
    with pytest.raises(UserError, match="numbered 0 to 1"):
        full[[]]
    with pytest.raises(UserError, match="there are smile, åge"):
        full.index("pose")
    assert "smile, åge" in repr(full)
    assert len(repr(full)) < 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"names": ("a",)}, "3 names are needed, got 1"),
        ({"scale": np.ones(2)}, r"scale must be \[3\]"),
        ({"mean": np.ones((2, 7))}, r"mean must be \[1, 7\]"),
        ({"space": "q"}, "space must be z, z., w, w. or s"),
        ({"stage": "during"}, "stage must be before or after"),
        ({"names": ("a", "b", 3)}, "names must be text"),
        ({"layers": ("a",)}, "layers must be numbers"),
        ({"fingerprint": ["a"]}, "the fingerprint text"),
        ({"parameters": 5}, "parameters must be a mapping"),
        ({"scale": np.array([1.0, np.inf, 1.0])}, "scale holds numbers that are not finite"),
        ({"scale": np.array([1.0, 0.0, 1.0])}, "a scale is 0"),
    ],
)
@pytest.mark.usefixtures("lenient")
def test_wrong_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        some(**fields)
    with pytest.raises(UserError, match=r"got \[3, 7\]"):
        Directions.of(np.ones((3, 7)))
    with pytest.raises(UserError, match="vectors holds numbers that are not finite"):
        Directions.of(np.full((3, 1, 7), np.nan))
    with pytest.raises(UserError, match="there are none"):
        Directions.of(np.ones((0, 1, 7)))
    with pytest.raises(UserError, match=r"in w has one row, got 6; 6 rows are in w\+"):
        Directions.of(np.ones((3, 6, 7)), space="w")


def test_binding_tells_space_layers_and_weights(stylegan2, dcgan):
    bound = some().bind(stylegan2, [0, 1])
    assert (bound.space, bound.layers) == ("w", (0, 1))
    assert bound.fingerprint == fingerprint(stylegan2)
    assert some(m=6).bind(stylegan2).space == "w+"
    assert some(d=6).bind(dcgan).space == "z"
    assert some(d=6).bind(stylegan2, space="z").space == "z"


def test_binding_fewer_layers_fills_with_zeros(stylegan2):
    found = sefa(stylegan2.affines([1, 3]), 2, per_layer=True)
    bound = found.bind(stylegan2, [1, 3])
    assert bound.vectors.shape == (2, 6, 7)
    np.testing.assert_array_equal(bound.vectors[:, [1, 3]], found.vectors)
    np.testing.assert_array_equal(bound.vectors[:, [0, 2, 4, 5]], 0)
    np.testing.assert_array_equal(bound.scores[:, [1, 3]], found.scores)


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        (some(space="w"), "in space w; the generator has z"),
        (some(space="z"), "width 7; the generator's space z has width 6"),
        (some(), "width 7"),
        (some(d=6, m=2), "have 2 layers; the generator has 1"),
        (some(d=6, layers=(0, 3)), "for layers"),
    ],
)
def test_what_does_not_fit_is_refused(dcgan, directions, message):
    with pytest.raises(UserError, match=message):
        directions.check(dcgan)


def test_other_weights_warn(dcgan):
    bound = some(d=6).bind(dcgan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bound.check(dcgan)
    with pytest.warns(FingerprintWarning, match="not in this one"):
        bound.check(filled(DCGAN_CONFIG, seed=1))


@pytest.mark.parametrize(
    ("shape", "expected"), [((7,), (1, 1, 7)), ((4, 7), (4, 1, 7)), ((4, 6, 7), (4, 6, 7))]
)
def test_bare_boundaries(tmp_path, shape, expected):
    array = RANDOM.standard_normal(shape) * 5
    np.save(tmp_path / "smile.npy", array)
    directions = Directions.load(tmp_path / "smile.npy", space="w+")
    assert directions.vectors.shape == expected
    assert directions.space == "w+"
    norms = np.linalg.norm(np.reshape(directions.vectors, (len(directions), -1)), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)
    assert directions.names[0] == ("smile" if len(directions) == 1 else "smile 0")
    whole = np.asarray(directions.vectors) * np.asarray(directions.scale)[:, None, None]
    np.testing.assert_allclose(whole, array.reshape(expected), rtol=1e-5)
    imported = import_directions(tmp_path / "smile.npy", "w+")
    np.testing.assert_array_equal(imported.vectors, directions.vectors)
    np.testing.assert_array_equal(imported.scale, directions.scale)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(7), "zero vector"),
        (np.array([1.0, np.nan]), "not finite"),
        (np.ones((2, 2, 2, 2)), "was expected"),
        (np.array(["a"]), r"no \.npy array of numbers"),
        (np.array([{"boundary": 1}], object), r"no \.npy array of numbers"),
        (np.zeros((0, 7)), "empty"),
        (np.full(7, 1e300), "beyond float32"),
    ],
)
def test_files_that_are_no_boundary(tmp_path, content, message):
    np.save(tmp_path / "b.npy", content, allow_pickle=True)
    with pytest.raises(UserError, match=message):
        Directions.from_npy(tmp_path / "b.npy")


ARRAYS = ("vectors", "scores", "mean", "scale", "intercept")


def test_files_that_hold_no_directions(tmp_path):
    path = tmp_path / "d.safetensors"
    with pytest.raises(FileNotFoundError, match="no such file"):
        Directions.load(path)
    path.write_bytes(b"garbage")
    with pytest.raises(UserError, match="no directions"):
        Directions.load(path)
    save_file({"a": np.ones(1)}, path)
    with pytest.raises(UserError, match="without directions"):
        Directions.load(path)
    some().save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="no directions"):
        Directions.load(path)
    metadata = {"format": "jaxlatent-directions-1", "directions": "[" * 200_000}
    save_file({n: np.ones((1, 1, 1)) for n in ARRAYS}, path, metadata)
    with pytest.raises(UserError, match="no directions"):
        Directions.load(path)
    metadata = {"format": "jaxlatent-directions-1", "directions": json.dumps({"names": []})}
    save_file({"vectors": np.ones((1, 1, 1))}, path, metadata)
    with pytest.raises(UserError, match="no directions"):
        Directions.load(path)


def test_unbound_directions_only_check_their_width(stylegan2):
    some().check(stylegan2)
    assert jnp.asarray(some().vectors).shape == (3, 1, 7)

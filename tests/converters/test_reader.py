"""The reader gives back exactly what was stored, in every container, dtype and layout."""

import hashlib
import struct

import forge
import ml_dtypes
import numpy as np
import pytest

from converters import CorruptCheckpointError, read_checkpoint
from converters.constructors import NETWORKS

RANDOM = np.random.RandomState(0)
DTYPES = list(forge.STORAGES)


def arrays_of(dtype: np.dtype) -> dict[str, np.ndarray]:
    values = (RANDOM.standard_normal((3, 4, 5)) * 50).astype(dtype)
    return {
        "plain": values,
        "transposed": values.transpose(2, 0, 1),
        "part": values.reshape(-1)[7:19],
        "scalar": np.array(values[0, 0, 0]),
        "empty": np.zeros((0, 3), dtype),
    }


@pytest.fixture(params=["zip", "legacy"])
def container(request):
    return {"zip": forge.torch_zip, "legacy": forge.torch_legacy}[request.param]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_layout_survives(tmp_path, container, dtype):
    arrays = arrays_of(dtype)
    path = tmp_path / "a.pt"
    path.write_bytes(container(*forge.state_dict(arrays)))
    tree = read_checkpoint(path).tree
    assert list(tree) == list(arrays)
    for key, array in arrays.items():
        assert tree[key].dtype == dtype
        assert tree[key].shape == array.shape
        np.testing.assert_array_equal(tree[key], array)
        assert not tree[key].flags.writeable or not tree[key].size


def test_checksum_and_container_are_told(tmp_path, container):
    path = tmp_path / "a.pt"
    path.write_bytes(container(*forge.state_dict({"a": np.ones(3)})))
    checkpoint = read_checkpoint(path)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.container in ("torch zip", "torch legacy")


def test_shared_storage_is_read_once(tmp_path):
    body = forge.dict_(
        {
            "a": forge.tensor("FloatStorage", "0", 6, 0, (2, 3), (3, 1)),
            "b": forge.tensor("FloatStorage", "0", 6, 3, (3,), (1,)),
        }
    )
    data = np.arange(6, dtype=np.float32)
    path = tmp_path / "a.pt"
    path.write_bytes(forge.torch_zip(body, {"0": (6, data.tobytes())}))
    tree = read_checkpoint(path).tree
    np.testing.assert_array_equal(tree["b"], [3, 4, 5])
    assert np.shares_memory(tree["a"], tree["b"])


def test_expanded_tensors_stay_views(tmp_path, container):
    body = forge.dict_({"a": forge.tensor("FloatStorage", "0", 1, 0, (64, 64), (0, 0))})
    path = tmp_path / "a.pt"
    path.write_bytes(container(body, {"0": (1, struct.pack("<f", 2.5))}))
    array = read_checkpoint(path).tree["a"]
    assert array.strides == (0, 0)
    assert (array == 2.5).all()


def test_plain_values_survive(tmp_path):
    body = forge.dict_(
        {
            "none": b"N",
            "yes": b"\x88",
            "pi": b"G" + struct.pack(">d", 3.14159),
            "large": forge.integer(1 << 40),
            "text": forge.text("grüße"),
            "list": b"](" + forge.integer(1) + forge.text("a") + b"e",
            "size": forge.call(forge.name("torch", "Size"), forge.tuple_(forge.integer(7))),
            "set": forge.call(forge.name("__builtin__", "set"), b"](" + forge.integer(3) + b"e"),
            "bytes": forge.call(
                forge.name("_codecs", "encode"), forge.text("ÿ"), forge.text("latin1")
            ),
        }
    )
    path = tmp_path / "a.pt"
    path.write_bytes(forge.torch_zip(body, {}))
    assert read_checkpoint(path).tree == {
        "none": None,
        "yes": True,
        "pi": 3.14159,
        "large": 1 << 40,
        "text": "grüße",
        "list": [1, "a"],
        "size": (7,),
        "set": [3],
        "bytes": b"\xff",
    }


def test_namespace_becomes_a_dict(tmp_path):
    state = forge.dict_({"lr": forge.integer(3)})
    body = forge.name("argparse", "Namespace") + b")\x81" + state + b"b"
    path = tmp_path / "a.pt"
    path.write_bytes(forge.pickle(body))
    assert read_checkpoint(path).tree == {"lr": 3}


def test_attributes_of_a_state_dict_are_dropped(tmp_path):
    empty = forge.call(forge.name("collections", "OrderedDict"))
    body = empty + forge.text("a") + forge.integer(1) + b"s"
    body += forge.dict_({"_metadata": forge.integer(5)}) + b"b"
    path = tmp_path / "a.pt"
    path.write_bytes(forge.pickle(body))
    assert read_checkpoint(path).tree == {"a": 1}


def test_numpy_arrays_and_scalars(tmp_path):
    import pickle

    value = {
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "names": np.array(["a", "bc"]),
        "scalar": np.float64(2.5),
    }
    for protocol in (2, 3, 4):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps(value, protocol))
        tree = read_checkpoint(path).tree
        assert tree.pop("scalar") == 2.5
        for key, array in tree.items():
            np.testing.assert_array_equal(array, value[key])


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_tensorflow_networks_become_plain_nodes(tmp_path, protocol, name):
    array = RANDOM.standard_normal((2, 3)).astype(np.float32)
    part = forge.Network({"weight": array, "strength": np.float32(0.5)}, version=4)
    settings = forge.EasyDict(label_size=0, resample_kernel=[1, 3, 3, 1])
    whole = forge.Network({}, static_kwargs=settings, components=forge.EasyDict(mapping=part))
    path = tmp_path / "a.pkl"
    path.write_bytes(forge.tensorflow((None, None, whole), protocol, name))
    node = read_checkpoint(path).tree[2]
    child = node["components"]["mapping"]
    assert {type(v) for v in (node, node["static_kwargs"], child)} == {dict}
    assert node["static_kwargs"] == {"label_size": 0, "resample_kernel": [1, 3, 3, 1]}
    assert node["class_name"] == child["class_name"] == name
    assert set(child) == {"class_name", "variables", "version"}, "the source text is dropped"
    (_, weight), strength = child["variables"]
    np.testing.assert_array_equal(weight, array)
    assert strength == ("strength", 0.5)


def test_arrays_that_python_2_stored_as_text(tmp_path):
    data = np.array([1.5, -2.5], np.float32).tobytes()
    kind = forge.call(forge.name("numpy", "dtype"), b"U\x02f4", b"K\x00", b"K\x01")
    state = (b"K\x01", b"K\x02\x85", kind, b"\x89", b"U\x08" + data)
    empty = forge.call(
        forge.name("numpy.core.multiarray", "_reconstruct"),
        *(forge.name("numpy", "ndarray"), b"K\x00\x85", b"U\x01b"),
    )
    path = tmp_path / "a.pkl"
    path.write_bytes(forge.pickle(empty + forge.tuple_(*state) + b"b"))
    np.testing.assert_array_equal(read_checkpoint(path).tree, [1.5, -2.5])


def test_old_storage_views(tmp_path):
    parts = (
        forge.text("storage"),
        forge.name("torch", "FloatStorage"),
        forge.text("root"),
        forge.text("cpu"),
        forge.integer(6),
    )
    whole = forge.tuple_(*parts, b"N") + b"Q"
    view = forge.tuple_(forge.text("view"), forge.integer(2), forge.integer(3))
    part = forge.tuple_(*parts, view) + b"Q"
    shape, stride = forge.tuple_(forge.integer(3)), forge.tuple_(forge.integer(1))
    rebuild = forge.name("torch._utils", "_rebuild_tensor")
    body = forge.dict_(
        {
            "whole": forge.call(rebuild, whole, forge.integer(0), shape, stride),
            "part": forge.call(rebuild, part, forge.integer(0), shape, stride),
        }
    )
    data = np.arange(6, dtype=np.float32).tobytes()
    path = tmp_path / "a.pt"
    path.write_bytes(forge.torch_legacy(body, {"root": (6, data)}))
    tree = read_checkpoint(path).tree
    np.testing.assert_array_equal(tree["whole"], [0, 1, 2])
    np.testing.assert_array_equal(tree["part"], [2, 3, 4])


def test_several_views_of_a_storage_that_is_never_whole(tmp_path):
    parts = [forge.text("storage"), forge.name("torch", "FloatStorage"), forge.text("root")]
    parts += [forge.text("cpu"), forge.integer(6)]
    views = [forge.tuple_(forge.text("v"), *map(forge.integer, ends)) for ends in ((0, 2), (3, 3))]
    body = forge.tuple_(*(forge.tuple_(*parts, view) + b"Q" for view in views))
    data = np.arange(6, dtype=np.float32).tobytes()
    path = tmp_path / "a.pt"
    path.write_bytes(forge.torch_legacy(body, {"root": (6, data)}))
    first, second = read_checkpoint(path).tree
    np.testing.assert_array_equal(first, [0, 1])
    np.testing.assert_array_equal(second, [3, 4, 5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs pointer"),
        (b"hello world, this is no checkpoint", "not a checkpoint"),
        (bytes(range(256)), "not a checkpoint"),
        (b"PK\x03\x04 but no archive", "zip archive"),
        (forge.MAGIC + forge.pickle(forge.integer(7)), "truncated"),
        (forge.MAGIC + forge.pickle(forge.integer(7)) * 3, "protocol 1001"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content, message):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match=message):
        read_checkpoint(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_checkpoint(tmp_path / "none.pt")
    with pytest.raises(CorruptCheckpointError, match="is not a file"):
        read_checkpoint(tmp_path)


def test_bfloat16_is_exact(tmp_path):
    values = np.array([1.0, -2.5, 3e38, 1e-30], ml_dtypes.bfloat16)
    path = tmp_path / "a.pt"
    path.write_bytes(forge.torch_zip(*forge.state_dict({"a": values})))
    np.testing.assert_array_equal(
        read_checkpoint(path).tree["a"].view(np.uint16), values.view(np.uint16)
    )

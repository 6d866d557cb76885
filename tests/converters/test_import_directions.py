"""Directions of other projects: forged files of every kind, and the projects' own where there."""

import io
import pickle
import zipfile
from pathlib import Path

import forge
import numpy as np
import pytest

from converters import (
    ConversionError,
    CorruptCheckpointError,
    UnsafeCheckpointError,
    import_directions,
    read_checkpoint,
)
from jaxlatent import Directions, UserError

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
RANDOM = np.random.RandomState(0)


def unit(*shape):
    rows = RANDOM.standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def torch_file(path, tree):
    if isinstance(tree, np.ndarray):
        body = forge.tensor("FloatStorage", "0", tree.size, 0, tree.shape, contiguous(tree.shape))
        storages = {"0": (tree.size, tree.astype(np.float32).tobytes())}
    else:
        body, storages = forge.state_dict({k: v.astype(np.float32) for k, v in tree.items()})
    path.write_bytes(forge.torch_zip(body, storages))
    return path


def contiguous(shape):
    return tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))


def object_file(path, value):
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


@pytest.mark.parametrize("shape", [(8,), (1, 8), (3, 8), (1, 4, 8)])
@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_boundaries_keep_direction_and_length(tmp_path, shape, suffix):
    rows = 2.5 * RANDOM.standard_normal(shape)
    path = tmp_path / f"smile{suffix}"
    if suffix == ".npy":
        np.save(path, rows)
    else:
        torch_file(path, rows)
    found = import_directions(path)
    whole = np.asarray(found.vectors * np.asarray(found.scale)[:, None, None])
    np.testing.assert_allclose(whole.reshape(shape), rows, rtol=1e-5)
    norms = np.linalg.norm(np.asarray(found.vectors).reshape(len(found), -1), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)
    assert found.names == (("smile",) if len(found) == 1 else ("smile 0", "smile 1", "smile 2"))
    assert found.parameters["kind"] == "boundary"
    assert found.space == ""


def test_space_and_names_are_taken_as_given(tmp_path):
    np.save(tmp_path / "b.npy", unit(2, 8))
    found = import_directions(tmp_path / "b.npy", "w", ["age", "pose"])
    assert (found.space, found.names) == ("w", ("age", "pose"))
    found.save(tmp_path / "ours.safetensors")
    assert Directions.load(tmp_path / "ours.safetensors").parameters == found.parameters
    with pytest.raises(ConversionError, match=r"use Directions\.load"):
        import_directions(tmp_path / "ours.safetensors")
    with pytest.raises(UserError, match="2 names are needed, got 1"):
        import_directions(tmp_path / "b.npy", "w", ["age"])


LAYERS = [
    ("6-11", tuple(range(6, 12))),
    ("0, 2-3", (0, 2, 3)),
    ([4, 2], (2, 4)),
    (np.array([1, 3]), (1, 3)),
    (5, (5,)),
    (None, ()),
    ("", ()),
]


@pytest.mark.parametrize(("value", "layers"), LAYERS, ids=[str(v) for v, _ in LAYERS])
@pytest.mark.parametrize("rows", [1, 14])
def test_dictionaries_tell_their_layers(tmp_path, value, layers, rows):
    boundary = unit(1, 8) if rows == 1 else unit(1, rows, 8)
    meta = {"type": "w", "manipulate_layers": value}
    path = object_file(tmp_path / "view.npy", {"boundary": boundary, "meta_data": meta})
    found = import_directions(path, "w+" if rows > 1 else "w")
    assert found.layers == layers
    assert found.parameters["meta_data"]["type"] == "w"
    whole = np.asarray(found.vectors * np.asarray(found.scale)[:, None, None])
    np.testing.assert_allclose(whole.reshape(boundary.shape), boundary, atol=1e-6)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_dictionaries_of_every_protocol(tmp_path, protocol):
    tree = {"boundary": unit(1, 8), "meta_data": {"manipulate_layers": "1-2"}}
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(file, header)
    pickle.dump(np.array(tree, object), file, protocol)
    (tmp_path / "a.npy").write_bytes(file.getvalue())
    assert import_directions(tmp_path / "a.npy").layers == (1, 2)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(tree, protocol))
    assert import_directions(tmp_path / "a.pkl").layers == (1, 2)


def components(k=3, d=8):
    return {"comp": unit(k, 1, d), "mean": unit(1, d), "std": np.array([1.0, 3.0, 2.0])}


def test_components_of_e4e_come_in_the_order_of_their_deviations(tmp_path):
    tree = components()
    found = import_directions(torch_file(tmp_path / "ffhq_pca.pt", tree))
    np.testing.assert_allclose(found.scale, [3, 2, 1])
    np.testing.assert_allclose(found.scores, [9, 4, 1])
    np.testing.assert_allclose(found.vectors, tree["comp"][[1, 2, 0]], atol=1e-6)
    np.testing.assert_allclose(found.mean, tree["mean"], atol=1e-6)
    assert found.names == ("ffhq_pca 0", "ffhq_pca 1", "ffhq_pca 2")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("latent", ["w", "z"])
def test_archives_of_ganspace(tmp_path, save, latent):
    tree = {
        "act_comp": unit(3, 1, 20),
        "act_mean": unit(1, 20),
        "act_stdev": np.array([5.0, 7.0, 6.0]),
        "lat_comp": unit(3, 1, 8),
        "lat_mean": unit(1, 8),
        "lat_stdev": np.array([1.0, 3.0, 2.0]) if latent == "w" else np.ones(3),
        "var_ratio": np.array([0.1, 0.3, 0.2]),
        "random_stdevs": np.ones(5),
    }
    save(tmp_path / "a.npz", **{k: v.astype(np.float32) for k, v in tree.items()})
    found = import_directions(tmp_path / "a.npz", latent)
    np.testing.assert_allclose(found.vectors, tree["lat_comp"][[1, 2, 0]], atol=1e-6)
    np.testing.assert_allclose(found.scale, tree["lat_stdev"][[1, 2, 0]])
    np.testing.assert_allclose(found.scores, [49, 36, 25])
    np.testing.assert_allclose(found.parameters["variance_ratio"], [0.3, 0.2, 0.1], rtol=1e-6)


WRONG = [
    (np.ones((2, 2, 2, 2)), r"must be \[d\], \[k, d\] or \[k, layers, d\], got \[2, 2, 2, 2\]"),
    (np.zeros((1, 4)), "zero vector"),
    (np.array([[1.0, np.nan]]), "not finite"),
    ({"comp": unit(3, 1, 8), "mean": unit(1, 8)}, "without the arrays std"),
    (components() | {"std": np.ones(2)}, "std must be 3 positive numbers"),
    (components() | {"std": np.array([1.0, 0.0, 2.0])}, "std must be 3 positive numbers"),
    (components() | {"mean": unit(1, 9), "std": np.ones(2)}, r"8 numbers, got \[1, 9\]; std must"),
    ({"mean": unit(8), "std": unit(8)}, "got a dictionary of mean, std"),
]


@pytest.mark.parametrize(("tree", "message"), WRONG)
def test_what_is_no_direction_is_said(tmp_path, tree, message):
    with pytest.raises(ConversionError, match=message):
        import_directions(torch_file(tmp_path / "a.pt", tree))


ODD_META = [
    ({"boundary": unit(1, 8)}, "meta_data must be a dictionary"),
    ({"boundary": "x", "meta_data": {}}, "must be an array of numbers, got a str"),
    ({"boundary": unit(1, 8), "meta_data": {"manipulate_layers": "6-"}}, "no list like"),
    ({"boundary": unit(1, 8), "meta_data": {"manipulate_layers": [1.5]}}, "numbers of layers"),
    ({"boundary": unit(1, 4, 8), "meta_data": {"manipulate_layers": "6"}}, "with 4 rows"),
    ({"else": 1}, "got a dictionary of else"),
    ("text", "got a str"),
]


@pytest.mark.parametrize(("tree", "message"), ODD_META)
def test_odd_dictionaries_are_refused(tmp_path, tree, message):
    with pytest.raises(ConversionError, match=message):
        import_directions(object_file(tmp_path / "a.npy", tree))


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_is_executed(tmp_path, capsys):
    path = object_file(tmp_path / "a.npy", {"boundary": Evil()})
    with pytest.raises(UnsafeCheckpointError, match=r"builtins\.print"):
        import_directions(path)
    np.savez(tmp_path / "b.npz", lat_comp=np.array(Evil(), object))
    with pytest.raises(UnsafeCheckpointError, match=r"builtins\.print"):
        import_directions(tmp_path / "b.npz")
    assert capsys.readouterr().out == ""


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


DAMAGED = [
    (npy(np.ones(8))[:-1], "truncated: 64 bytes"),
    (npy(np.ones(8))[:20], "malformed .npy header"),
    (b"\x93NUMPY\x07\x00" + bytes(20), "malformed .npy header"),
    (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1 << 60,)}\n"), "malformed"),
    (header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,)}\n"), "truncated"),
    (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n"), "one of numbers"),
    (header("{'descr': '<U3', 'fortran_order': False, 'shape': (1,)}\n"), "one of numbers"),
    (npy(np.array([1, "a"], object)), "an array of objects"),
    (npy(np.array(1, object))[:-30], "truncated pickle|malformed"),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damaged_numpy_files(tmp_path, data, message):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(CorruptCheckpointError, match=message):
        import_directions(tmp_path / "a.npy")


def test_damaged_archives(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, lat_comp=unit(3, 1, 8))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptCheckpointError, match="damaged or truncated"):
        import_directions(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(np.ones(3)))
        archive.writestr("b.txt", "text")
    with pytest.raises(CorruptCheckpointError, match=r"'b\.txt' in it is no \.npy file"):
        import_directions(path)
    np.savez_compressed(path, lat_comp=np.zeros(40 << 20, np.float32))
    with pytest.raises(CorruptCheckpointError, match="unfolds to more than"):
        import_directions(path)


def test_arrays_in_column_order_and_big_endian(tmp_path):
    rows = unit(3, 8)
    np.save(tmp_path / "a.npy", np.asfortranarray(rows).astype(">f4"))
    tree = read_checkpoint(tmp_path / "a.npy").tree
    np.testing.assert_allclose(tree, rows, rtol=1e-6)
    np.testing.assert_allclose(import_directions(tmp_path / "a.npy").vectors[:, 0], rows, atol=1e-6)


def test_a_missing_file():
    with pytest.raises(FileNotFoundError, match="no such file"):
        import_directions("no-such.npy")


@pytest.mark.skipif(not ORACLES.is_dir(), reason="the originals' files are not here")
def test_the_originals_files():
    e4e = ORACLES / "omertov+encoder4editing" / "editings"
    restyle = ORACLES / "yuval-alaluf+restyle-encoder" / "editing" / "interfacegan_directions"
    pti = ORACLES / "danielroich+PTI" / "editings" / "interfacegan_directions"
    for folder in (e4e / "interfacegan_directions", restyle, pti):
        files = sorted(folder.glob("*.pt"))
        assert len(files) == 3
        for file in files:
            found = import_directions(file, "w+" if "pose" in file.stem else "w")
            rows = 18 if file.stem == "pose" else 1
            assert found.vectors.shape == (1, rows, 512)
            np.testing.assert_allclose(found.scale, rows**0.5, rtol=1e-6)
    turn = import_directions(pti / "rotation.pt").vectors[0, 0]
    pose = import_directions(restyle / "pose.pt").vectors[0]
    np.testing.assert_allclose(pose * 18**0.5, np.tile(turn, (18, 1)), atol=1e-6)
    for name in ("cars", "ffhq"):
        found = import_directions(e4e / "ganspace_pca" / f"{name}_pca.pt", "w")
        assert found.vectors.shape == (80, 1, 512)
        flat = np.asarray(found.vectors[:, 0], np.float64)
        np.testing.assert_allclose(flat @ flat.T, np.eye(80), atol=2e-3)
        assert (np.diff(found.scale) <= 0).all()
    files = [
        *ORACLES.glob("zhujiapeng+*/**/*.npy"),
        *ORACLES.glob("genforce+interfacegan/**/*.npy"),
    ]
    assert len(files) == 16 + 39
    for file in files:
        found = import_directions(file)
        assert found.vectors.shape == (1, 1, 512)
        np.testing.assert_allclose(found.scale, 1, rtol=1e-6)
    with pytest.raises(ConversionError, match="got a dictionary of mean, std"):
        import_directions(ORACLES / "adamian98+pulse" / "gaussian_fit.pt")

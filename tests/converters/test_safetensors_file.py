"""Safetensors: what the library writes comes back as views; hostile headers are refused."""

import json
import struct
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from converters import CorruptCheckpointError, convert, read_checkpoint
from converters.safetensors_file import _COST, read_safetensors
from converters.unpickle import Budget

RANDOM = np.random.RandomState(0)
ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
KINDS = [
    *(np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.float16, np.uint32, np.int32),
    *(np.float32, np.uint64, np.int64, np.float64, np.complex64, ml_dtypes.bfloat16),
]


def content(header, data=bytes(24), length=None):
    """Returns a file with a header of any kind: text, or what JSON can say."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def read(tmp_path, data):
    """Reads a file, within the memory that it may take."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        return read_checkpoint(path).tree
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5 * len(data) + (64 << 20) + (1 << 20)


def test_what_the_library_writes_comes_back(tmp_path):
    arrays = {np.dtype(k).name: (9 * RANDOM.standard_normal((3, 4))).astype(k) for k in KINDS}
    arrays |= {"scalar": np.array(2.5), "empty": np.zeros((0, 3), np.float32)}
    path = tmp_path / "a.safetensors"
    save_file(arrays, path, metadata={"format": "pt"})
    checkpoint = read_checkpoint(path)
    assert checkpoint.container == "safetensors"
    assert set(checkpoint.tree) == set(arrays)
    for name, array in arrays.items():
        found = checkpoint.tree[name]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()
        assert not found.flags.writeable or not found.size


def test_arrays_are_views_of_one_copy_of_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": np.ones(1 << 20, np.float32), "b": np.ones(1 << 20, np.float32)}, path)
    tracemalloc.start()
    tree = read_checkpoint(path).tree
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 1.1 * path.stat().st_size
    assert tree["a"].sum() == 1 << 20


def test_a_network_is_converted(tmp_path):
    widths = {"a.weight": (6, 4, 4, 4), "b.weight": (4, 3, 4, 4)}
    arrays = {k: RANDOM.standard_normal(s).astype(ml_dtypes.bfloat16) for k, s in widths.items()}
    save_file(arrays, tmp_path / "a.safetensors")
    generator = convert(tmp_path / "a.safetensors").model
    assert generator.image_shape == (8, 8, 3)
    kernel = np.asarray(generator.layers[0].kernel[...])[::-1, ::-1].transpose(2, 3, 0, 1)
    np.testing.assert_array_equal(kernel, arrays["a.weight"].astype(np.float32))


def entry(**changes):
    return {"a": ENTRY | changes}


HOSTILE = {
    "length beyond the file": content(entry(), length=1 << 20),
    "huge length": content(entry(), length=(1 << 47)),
    "short length": content(entry(), length=9),
    "list": content(b"{" + b" " * 9, length=10),
    "no JSON": content(b"{'a': 1}"),
    "bytes that are no text": content(b'{"\xff": 1}'),
    "NaN": content(b'{"a": NaN}'),
    "infinity": content(b'{"a": {"dtype": "F32", "shape": [Infinity], "data_offsets": [0, 24]}}'),
    "duplicate names": content(b'{"a": %s, "a": %s}' % ((json.dumps(ENTRY).encode(),) * 2)),
    "duplicate fields": content(b'{"a": {"dtype": "F32", "dtype": "F64"}}'),
    "deep": content(b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "deep metadata": content(b'{"__metadata__": ' + b'{"a":' * 9000 + b"1" + b"}" * 9001),
    "long number": content(b'{"a": ' + b"9" * 100_000 + b"}"),
    "metadata of numbers": content({"__metadata__": {"a": 1}} | entry()),
    "metadata of text": content({"__metadata__": "a"} | entry()),
    "entry of text": content({"a": "F32"}),
    "missing field": content({"a": {"dtype": "F32", "shape": [6]}}),
    "more fields": content(entry(strides=[0, 0])),
    "dtype": content(entry(dtype="O8")),
    "dtype of 8 bits": content(entry(dtype="F8_E4M3", data_offsets=[0, 6]), bytes(6)),
    "dtype of another type": content(entry(dtype=["F32"])),
    "wrong dtype": content(entry(dtype="F64")),
    "negative size": content(entry(shape=[-2, -3])),
    "size of another type": content(entry(shape=[2.0, 3])),
    "boolean size": content(entry(shape=[True, 6])),
    "huge size": content(entry(shape=[1 << 60, 0], data_offsets=[0, 0]), b""),
    "product that overflows": content(entry(shape=[1 << 40] * 16)),
    "huge empty": content(entry(shape=[1 << 47, 1 << 47, 0], data_offsets=[0, 0]), b""),
    "many axes": content(entry(shape=[1] * 15 + [2, 3])),
    "negative offset": content(entry(data_offsets=[-24, 0])),
    "offsets reversed": content(entry(data_offsets=[24, 0])),
    "three offsets": content(entry(data_offsets=[0, 24, 24])),
    "beyond the file": content(entry(data_offsets=[24, 48])),
    "overlap": content({"a": ENTRY, "b": ENTRY}),
    "gap": content(entry(data_offsets=[4, 28]), bytes(28)),
    "rest": content(entry(), bytes(30)),
    "many lists": content(b'{"a": [' + b"[]," * 900_000 + b"[]]}"),
    "many dicts": content(b'{"a": [' + b"{}," * 900_000 + b"{}]}"),
    "many names": content(json.dumps({f"{i}": i for i in range(300_000)}).encode()),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_headers_are_refused(tmp_path, kind):
    with pytest.raises(CorruptCheckpointError):
        read(tmp_path, HOSTILE[kind])


@pytest.mark.parametrize("end", [8, 9, 40, -1])
def test_truncated_files_are_refused(tmp_path, end):
    with pytest.raises(CorruptCheckpointError):
        read(tmp_path, content(entry())[:end])


COSTLY = {
    "lists": b"[]," * 30_000,
    "deep lists": (b"[" * 400 + b"]" * 400 + b",") * 100,
    "dicts": b"{}," * 30_000,
    "small dicts": b'{"":0},' * 10_000,
    "dicts of lists": b'{"a":[]},' * 10_000,
    "numbers": b"1e9," * 20_000,
    "wide text": b'"' + b"a" * 50_000 + "\U0001f600".encode() + b'",',
    "short texts": "".join(f'"{chr(i)}",' for i in range(0x4E00, 0x9000)).encode(),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_header_takes_no_more_than_is_paid_for(kind):
    data = content(b'{"a": [' + COSTLY[kind] + b"0]}")
    tracemalloc.start()
    with pytest.raises(CorruptCheckpointError, match="entry 'a' must have"):
        read_safetensors(data, Budget(len(data)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < _COST * (len(data) - 32) + 10_000

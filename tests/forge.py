"""Writes checkpoint containers byte by byte, so that tests need no torch and can lie."""

import io
import pickle as python_pickle
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

STORAGES = {
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.int16): "ShortStorage",
    np.dtype(np.int8): "CharStorage",
    np.dtype(np.uint8): "ByteStorage",
    np.dtype(np.bool_): "BoolStorage",
}
MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def tuple_(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def dict_(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tuple_(*arguments) + b"R"


def pickle(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def storage(kind: str, key: str, count: int) -> bytes:
    parts = (text("storage"), name("torch", kind), text(key), text("cpu"), integer(count))
    return tuple_(*parts) + b"Q"


def tensor(
    kind: str,
    key: str,
    count: int,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(kind, key, count),
        integer(offset),
        tuple_(*map(integer, shape)),
        tuple_(*map(integer, strides)),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )


def state_dict(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, tuple[int, bytes]]]:
    """Returns the pickle body of a state dict, and count and data of each storage."""
    items, storages = {}, {}
    for index, (key, array) in enumerate(arrays.items()):
        base = array if array.base is None or not isinstance(array.base, np.ndarray) else array.base
        steps = tuple(step // array.itemsize for step in array.strides)
        start = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) or 0
        kind = STORAGES[array.dtype]
        items[key] = tensor(
            kind, str(index), base.size, start // array.itemsize, array.shape, steps
        )
        storages[str(index)] = (base.size, base.tobytes())
    return dict_(items), storages


def torch_zip(
    body: bytes, storages: Mapping[str, tuple[int, bytes]], compression: int = zipfile.ZIP_STORED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle(body))
        archive.writestr("archive/byteorder", "little")
        for key, (_, data) in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def torch_legacy(body: bytes, storages: Mapping[str, tuple[int, bytes]]) -> bytes:
    system = dict_({"protocol_version": integer(1001), "little_endian": b"\x88"})
    keys = b"](" + b"".join(text(k) for k in storages) + b"e"
    data = b"".join(struct.pack("<q", count) + raw for count, raw in storages.values())
    return MAGIC + pickle(integer(1001)) + pickle(system) + pickle(body) + pickle(keys) + data


class Network:
    """A network of NVIDIA's TensorFlow code: its state, pickled as an object."""

    def __init__(self, variables: Mapping[str, np.ndarray], **state: object) -> None:
        self.state = {"build_module_src": CANARY, "variables": list(variables.items()), **state}

    def __getstate__(self) -> dict[str, object]:
        return self.state


class EasyDict(dict):
    """A dictionary of NVIDIA's code, a class of its own."""


CANARY = "raise RuntimeError('text from the file was executed')\n"
CLASSES = {Network: "dnnlib.tflib.network.Network", EasyDict: "dnnlib.util.EasyDict"}


class _Pickler(python_pickle._Pickler):
    """Writes classes under the names of the original code, which need not be there."""

    names = CLASSES

    def save_global(self, obj: type, name: str | None = None) -> None:
        if obj not in self.names:
            return super().save_global(obj, name)
        module, _, attribute = self.names[obj].rpartition(".")
        if self.proto < 4:
            self.write(f"c{module}\n{attribute}\n".encode())
        else:
            self.save(module)
            self.save(attribute)
            self.write(python_pickle.STACK_GLOBAL)
        self.memoize(obj)
        return None


def tensorflow(root: object, protocol: int = 4, name: str = CLASSES[Network]) -> bytes:
    file = io.BytesIO()
    pickler = _Pickler(file, protocol)
    pickler.names = {**CLASSES, Network: name}
    pickler.dump(root)
    return file.getvalue()


def persistent(value: Any) -> bytes:
    """Returns the pickle body of a tree as NVIDIA's persistence writes it.

    Dicts with a "class_name" are objects, with source text that raises if anything executes it;
    their arrays are tensors with a storage each.
    """
    if isinstance(value, dict) and "class_name" in value:
        state = {k: persistent(v) for k, v in value.items() if k != "class_name"}
        meta = {
            "type": text("class"),
            "version": integer(6),
            "module_src": text("raise SystemExit('executed')"),
            "class_name": text(value["class_name"]),
            "state": dict_(state),
        }
        rebuild = name("torch_utils.persistence", "_reconstruct_persistent_obj")
        return call(rebuild, dict_(meta))
    if isinstance(value, dict):
        return dict_({k: persistent(v) for k, v in value.items()})
    if isinstance(value, np.ndarray):
        return _own_tensor(np.array(value, order="C"))
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, (list, tuple)):
        items = b"".join(map(persistent, value))
        return b"(" + items + b"t" if isinstance(value, tuple) else b"](" + items + b"e"
    plain = {None: b"N", True: b"\x88", False: b"\x89"}
    return integer(value) if type(value) is int else plain[value]


def _own_tensor(array: np.ndarray) -> bytes:
    kind = STORAGES[array.dtype]
    parts = (text("storage"), name("torch", kind), text("0"), text("cpu"), integer(array.size))
    inner = torch_legacy(tuple_(*parts, b"N") + b"Q", {"0": (array.size, array.tobytes())})
    steps = tuple(step // array.itemsize for step in array.strides)
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        call(
            name("torch.storage", "_load_from_bytes"), b"B" + struct.pack("<I", len(inner)) + inner
        ),
        integer(0),
        tuple_(*map(integer, array.shape)),
        tuple_(*map(integer, steps)),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )

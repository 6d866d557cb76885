"""Opens checkpoint files: the only code of the project that touches untrusted bytes.

Six containers are read, without torch and without executing anything from the file: torch's
zip archive, torch's older stream of pickles ("legacy"), bare pickles such as NVIDIA's,
safetensors, and NumPy's .npy and .npz. All of them become plain nested dicts and lists of
numbers, text and read-only arrays.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converters.constructors import NumpyArray, NumpyType, Storage, Tensor, table
from converters.errors import (
    MALFORMED,
    CheckpointError,
    CorruptCheckpointError,
    UnsafeCheckpointError,
    described,
)
from converters.numpy_file import ZIP_ERRORS, is_npy, is_npz, read_npy, read_npz
from converters.safetensors_file import is_safetensors, read_safetensors
from converters.unpickle import Budget, Constructor, PickleMachine

_LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
_LEGACY_PROTOCOL = 1001
_MAX_DEPTH = 120
_MAX_NESTED_STREAMS = 2
_DIRECTORY_ENTRY = b"PK\x01\x02"
_DIRECTORY_ENTRY_COST = 1024  # bytes that `zipfile` takes for one, its name aside
_PLAIN_COST = 256  # bytes; no empty container takes more, the note that it was converted included
_ARRAY_COST = 2048  # nor does an array, its numbers aside


@dataclass(frozen=True)
class Checkpoint:
    """What a file held.

    Attributes:
        path: where it was read from.
        container: "torch zip", "torch legacy", "safetensors", "npy", "npz" or "pickle".
        tree: nested dicts and lists; leaves are arrays, numbers, text, bytes or `None`.
        sha256: of the whole file, in hexadecimal.
    """

    path: Path
    container: str
    tree: Any
    sha256: str


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint file into plain data; nothing in it is ever executed.

    Args:
        path: a file written by `torch.save`, an NVIDIA network pickle, safetensors, or a NumPy
            file.

    Returns:
        The contents. Arrays are read-only and share the file's memory, strides as stored.

    Raises:
        FileNotFoundError: if there is no such file.
        CorruptCheckpointError: if it is empty, truncated, damaged or no checkpoint.
        UnsafeCheckpointError: if it names anything outside the table of allowed names.

    Example:
        >>> read_checkpoint("no-such-file.pt")
        Traceback (most recent call last):
        FileNotFoundError: no such file: no-such-file.pt
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if not path.is_file():
        raise CorruptCheckpointError(f"{path} is not a file; a checkpoint file was expected")
    data = path.read_bytes()
    try:
        container, tree = _read(data)
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from None
    return Checkpoint(path, container, tree, hashlib.sha256(data).hexdigest())


def _read(data: bytes) -> tuple[str, Any]:
    if not data:
        raise CorruptCheckpointError("the file is empty")
    budget = Budget(len(data))
    container, read = _container(data)
    try:
        return container, _Plain(budget).convert(read(data, budget))
    except CheckpointError:
        raise
    except MALFORMED as error:
        raise CorruptCheckpointError(f"malformed {container}: {described(error)}") from error


def _container(data: bytes) -> tuple[str, Callable[[bytes, Budget], Any]]:
    if is_npy(data):
        return "npy", read_npy
    if is_npz(data):
        return "npz", read_npz
    if data.startswith(b"PK\x03\x04"):
        return "torch zip", _read_zip
    if data.startswith(_LEGACY_MAGIC):
        return "torch legacy", lambda data, budget: _read_legacy(memoryview(data), budget)
    if is_safetensors(data):
        return "safetensors", read_safetensors
    return "pickle", _read_pickle


def _read_pickle(data: bytes, budget: Budget) -> Any:
    try:
        return PickleMachine(memoryview(data), _names(budget), budget).run()
    except CorruptCheckpointError:
        if data[0] == 0x80:
            raise
        raise CorruptCheckpointError(_unrecognised(data)) from None


def _unrecognised(data: bytes) -> str:
    start = data[:64].lstrip().lower()
    hint = "expected a torch zip archive, a torch legacy file, safetensors or a network pickle"
    if start.startswith((b"<!doctype", b"<html")):
        return f"not a checkpoint but a web page (a failed download?); {hint}"
    if start.startswith(b"version https://git-lfs"):
        return f"not a checkpoint but a git-lfs pointer (run `git lfs pull`); {hint}"
    return f"not a checkpoint; {hint}"


def _names(budget: Budget, depth: int = 0) -> Any:
    def load_from_bytes(data: memoryview) -> Any:
        if depth >= _MAX_NESTED_STREAMS:
            raise CorruptCheckpointError("streams nested too deeply")
        if bytes(data[: len(_LEGACY_MAGIC)]) != _LEGACY_MAGIC:
            raise CorruptCheckpointError("an embedded storage is not in torch's legacy format")
        return _read_legacy(data, budget, depth + 1)

    return table(load_from_bytes)


def _storage(identifier: Any) -> tuple[Storage, str, Any]:
    """Reads a persistent id: ("storage", type, key, device, count[, view])."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6):
        raise CorruptCheckpointError("malformed storage reference")
    tag, kind, key, _device, count, *view = identifier
    if tag != "storage" or not isinstance(kind, Constructor) or kind.value is None:
        raise CorruptCheckpointError("malformed storage reference")
    if not isinstance(key, str) or type(count) is not int or not 0 <= count < 1 << 48:
        raise CorruptCheckpointError("malformed storage reference")
    return Storage(kind.value, count), key, view[0] if view else None


def _read_zip(data: bytes, budget: Budget) -> Any:
    budget.spend(data.count(_DIRECTORY_ENTRY) * _DIRECTORY_ENTRY_COST)
    try:
        return _read_records(zipfile.ZipFile(io.BytesIO(data)), budget)
    except CheckpointError:
        raise
    except ZIP_ERRORS as error:
        raise CorruptCheckpointError(f"damaged or truncated zip archive: {error}") from None


def _read_records(archive: zipfile.ZipFile, budget: Budget) -> Any:
    records = {info.filename: info for info in archive.infolist()}
    root = next((name[: -len("data.pkl")] for name in records if name.endswith("/data.pkl")), None)
    if root is None:
        raise CorruptCheckpointError("a zip archive without data.pkl; expected one by torch.save")
    if f"{root}constants.pkl" in records:
        raise UnsafeCheckpointError(
            "a TorchScript archive, which holds code; save the network's state_dict instead"
        )

    def record(name: str) -> memoryview:
        info = records.get(name)
        if info is None:
            raise CorruptCheckpointError(f"the record {name[:200]!r} is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise CorruptCheckpointError(
                f"the record {name[:200]!r} is compressed, which torch.save never does; pack the "
                "archive again without compression (zip -0)"
            )
        budget.spend(info.file_size)
        return memoryview(archive.read(info))

    order = "little"
    if f"{root}byteorder" in records:
        order = str(record(f"{root}byteorder")[:8], "ascii", "replace")
    storages: dict[str, Storage] = {}

    def load(identifier: Any) -> Storage:
        storage, key, _ = _storage(identifier)
        if key not in storages:
            if order == "big":
                storage.dtype = storage.dtype.newbyteorder(">")
            storage.data = record(f"{root}data/{key}")
            storages[key] = storage
        return _same(storages[key], storage)

    return PickleMachine(record(f"{root}data.pkl"), _names(budget), budget, load).run()


def _same(known: Storage, again: Storage) -> Storage:
    if known.dtype.itemsize * known.count != again.dtype.itemsize * again.count:
        raise CorruptCheckpointError("two references disagree on the size of a storage")
    if known.dtype.newbyteorder("=") == again.dtype.newbyteorder("="):
        return known
    return Storage(again.dtype, again.count, known.data)


def _read_legacy(data: memoryview, budget: Budget, depth: int = 0) -> Any:
    names = _names(budget, depth)
    position = 0
    storages: dict[str, Storage] = {}
    views: list[tuple[Storage, str, Any]] = []

    def load(identifier: Any) -> Storage:
        storage, key, view = _storage(identifier)
        known = _same(storages.setdefault(key, storage), storage)
        if view is None:
            return known
        part = Storage(storage.dtype, storage.count)
        views.append((part, key, view))
        return part

    def pickle(persistent_load: Any = None) -> Any:
        nonlocal position
        machine = PickleMachine(data, names, budget, persistent_load, position)
        value = machine.run()
        position = machine.position
        return value

    pickle()  # the magic number, already seen
    protocol, system = pickle(), pickle()
    if protocol != _LEGACY_PROTOCOL:
        raise CorruptCheckpointError(f"torch legacy protocol {_LEGACY_PROTOCOL} was expected")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CorruptCheckpointError("a legacy file written on a big-endian machine is not read")
    value, keys = pickle(load), pickle()
    for key in keys if isinstance(keys, list) else [None]:
        if not isinstance(key, str) or key not in storages:
            raise CorruptCheckpointError("the list of storages does not match the tensors")
        storage = storages[key]
        size = storage.count * storage.dtype.itemsize
        if len(data) - position < 8 + size:
            raise CorruptCheckpointError(
                f"truncated: a storage of {size} bytes was expected at byte {position}, "
                f"{max(0, len(data) - position - 8)} are left"
            )
        if int.from_bytes(data[position : position + 8], "little") != storage.count:
            raise CorruptCheckpointError(f"storage size mismatch at byte {position}")
        storage.data = data[position + 8 : position + 8 + size]
        position += 8 + size
    for part, key, view in views:
        _take_view(part, storages[key], view)
    return value


def _take_view(part: Storage, root: Storage, view: Any) -> None:
    """Old files: a storage may be a part of another one, `(key, offset, count)`."""
    if not isinstance(view, tuple) or [type(v) for v in view[1:]] != [int, int]:
        raise CorruptCheckpointError("malformed storage view")
    _, offset, count = view
    size = root.dtype.itemsize
    if root.data is None or not 0 <= offset <= offset + count <= root.count:
        raise CorruptCheckpointError("a storage view lies outside its storage")
    part.count = count
    part.data = root.data[offset * size : (offset + count) * size]


class _Plain:
    """Turns the machine's values into plain data, once each, with bounded depth and size."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()

    def convert(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, (str, int, float, type(None))):
            return value
        if id(value) not in self._done:
            if id(value) in self._open or depth > _MAX_DEPTH:
                raise CorruptCheckpointError("values nested in themselves or too deeply")
            self._budget.spend(_PLAIN_COST)
            self._open.add(id(value))
            self._done[id(value)] = self._convert(value, depth + 1)
            self._open.remove(id(value))
        return self._done[id(value)]

    def _convert(self, value: Any, depth: int) -> Any:
        if isinstance(value, memoryview):
            if len(value) >= 4096:
                return value
            self._budget.spend(len(value))
            return bytes(value)
        if isinstance(value, dict):
            return {key: self.convert(item, depth) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.convert(item, depth) for item in value)
        if isinstance(value, Storage):
            value = Tensor(value, 0, (value.count,), (1,))
        if isinstance(value, Tensor):
            self._budget.spend(value.nbytes + _ARRAY_COST)
            return value.array()
        if isinstance(value, NumpyArray):
            return value.array
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, Constructor):
            return value.name
        if isinstance(value, (NumpyType, np.dtype)):
            return str(getattr(value, "dtype", value))
        raise CorruptCheckpointError(f"unexpected value of type {type(value).__name__}")

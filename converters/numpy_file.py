"""Opens NumPy's `.npy` and `.npz` files, pickled dictionaries in them too, without executing any.

`np.load(..., allow_pickle=True)`, which such files need, would execute whatever they say.
"""

import io
import math
import re
import struct
import zipfile
from typing import Any

import numpy as np

from converters.constructors import NumpyArray, NumpyType, table
from converters.errors import MALFORMED, CheckpointError, CorruptCheckpointError, described
from converters.unpickle import Budget, Constructor, PickleMachine

ZIP_ERRORS = (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, *MALFORMED)
"""What the standard library raises on damaged archives."""

_MAX_HEADER = 10_000
_DIRECTORY_ENTRY = b"PK\x01\x02"
_DIRECTORY_ENTRY_COST = 1024  # bytes that `zipfile` takes for one, its name aside


class _ObjectType(NumpyType):
    """A pickled `numpy.dtype`, that of Python objects included."""

    def __init__(self, code: str, *rest: Any) -> None:
        self.objects = isinstance(code, str) and re.fullmatch(r"O\d?", code) is not None
        if not self.objects:
            super().__init__(code, *rest)

    def set_state(self, state: Any) -> None:
        """Takes the byte order, which objects have none of."""
        if not self.objects:
            super().set_state(state)


class _ObjectArray(NumpyArray):
    """A pickled `numpy.ndarray`; of objects, only the single one that wraps a dictionary."""

    content: Any = None

    def set_state(self, state: Any) -> None:
        """Takes numpy's array state."""
        if not isinstance(state, tuple):
            raise TypeError
        *_, shape, kind, _fortran, data = state
        if not isinstance(kind, _ObjectType) or not kind.objects:
            return super().set_state(state)
        if shape != () or not isinstance(data, list) or len(data) != 1:
            raise CorruptCheckpointError(
                "an array of many objects; one of a single dictionary was expected"
            )
        self.content = data[0]
        return None


def is_npy(data: bytes) -> bool:
    """Tells whether a file begins like a `.npy` file."""
    return data.startswith(b"\x93NUMPY")


def is_npz(data: bytes) -> bool:
    """Tells whether a file begins like a `.npz` file: a zip archive whose first file is `.npy`."""
    length = int.from_bytes(data[26:28], "little")
    return data.startswith(b"PK\x03\x04") and data[30 : 30 + length].endswith(b".npy")


def read_npy(data: bytes, budget: Budget) -> Any:
    """Returns what a `.npy` file holds: an array, or the one object pickled in it.

    Raises:
        CorruptCheckpointError: if it is truncated, damaged, or holds many objects.
        UnsafeCheckpointError: if its pickle names anything outside the table of allowed names.

    Example:
        >>> file = io.BytesIO()
        >>> np.save(file, np.arange(3.0))
        >>> read_npy(file.getvalue(), Budget(1000))
        array([0., 1., 2.])
    """
    stream = io.BytesIO(data)
    budget.spend(len(data))
    try:
        version = np.lib.format.read_magic(stream)
        read = _HEADERS[version]
        shape, fortran, dtype = read(stream, max_header_size=_MAX_HEADER)
    except (SyntaxError, EOFError, *MALFORMED) as error:
        raise CorruptCheckpointError(f"malformed .npy header: {described(error)}") from None
    if dtype.hasobject:
        if shape != () or dtype != np.dtype(object):
            raise CorruptCheckpointError("an array of objects; one of numbers was expected")
        return _unpickled(data, stream.tell(), budget)
    return _numbers(data, stream.tell(), shape, fortran, dtype)


def read_npz(data: bytes, budget: Budget) -> dict[str, Any]:
    """Returns the arrays of a `.npz` file by name.

    Raises:
        CorruptCheckpointError: if it is damaged, holds anything but `.npy` files, or unpacks to
            more than the budget.
    """
    budget.spend(data.count(_DIRECTORY_ENTRY) * _DIRECTORY_ENTRY_COST)
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    raise CorruptCheckpointError(f"{info.filename[:200]!r} in it is no .npy file")
                budget.spend(info.file_size)
                found[info.filename.removesuffix(".npy")] = read_npy(archive.read(info), budget)
    except CheckpointError:
        raise
    except ZIP_ERRORS as error:
        raise CorruptCheckpointError(f"damaged or truncated zip archive: {error}") from None
    return found


def _numbers(
    data: bytes, start: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype
) -> np.ndarray:
    if dtype.kind not in "fiu" or any(size < 0 for size in shape):
        raise CorruptCheckpointError(f"an array of {dtype}; one of numbers was expected")
    needed = math.prod(shape) * dtype.itemsize
    if len(data) - start < needed:
        raise CorruptCheckpointError(
            f"truncated: {needed} bytes of numbers were expected, {len(data) - start} are left"
        )
    flat = np.frombuffer(data, dtype, math.prod(shape), start)
    return flat.reshape(shape, order="F" if fortran else "C")


def _unpickled(data: bytes, start: int, budget: Budget) -> Any:
    names = dict(table(_no_storage))
    names["numpy.dtype"] = Constructor("numpy.dtype", _ObjectType)
    for core in ("numpy.core", "numpy._core"):
        name = f"{core}.multiarray._reconstruct"
        names[name] = Constructor(name, _ObjectArray)
    root = PickleMachine(memoryview(data), names, budget, position=start).run()
    if not isinstance(root, _ObjectArray):
        raise CorruptCheckpointError("a pickle that is no array of one object")
    return root.content


def _no_storage(*_: Any) -> Any:
    raise CorruptCheckpointError("a tensor of torch in a NumPy file")


_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

"""Reads safetensors files within a budget, as views: https://github.com/huggingface/safetensors.

The safetensors library copies every array, bounds no memory, lets the last of two equal names win
and gives NumPy no bfloat16; so the header, which is JSON, is read here.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from converters.constructors import Storage, Tensor
from converters.errors import CorruptCheckpointError
from converters.unpickle import Budget

_LENGTH = 8  # bytes of the number before the header
_MOST = 100_000_000  # bytes of a header, as the library allows
_COST = 48  # bytes that a byte of the header may take while it is JSON, its text included
_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}
_DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "U32": np.uint32,
    "I32": np.int32,
    "F32": np.float32,
    "U64": np.uint64,
    "I64": np.int64,
    "F64": np.float64,
    "C64": np.complex64,
}


def is_safetensors(data: bytes) -> bool:
    """Tells whether a file begins as safetensors do: a number, then a brace.

    Example:
        >>> is_safetensors(bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"{}")
        True
    """
    return data[_LENGTH : _LENGTH + 1] == b"{" and not any(data[6:_LENGTH])


def read_safetensors(data: bytes, budget: Budget) -> dict[str, Tensor]:
    """Returns the arrays of a file by name; metadata is checked and dropped.

    Raises:
        CorruptCheckpointError: if the header is damaged, or describes what the file does not hold.
    """
    length = int.from_bytes(data[:_LENGTH], "little")
    if length > min(_MOST, len(data) - _LENGTH):
        raise CorruptCheckpointError(
            f"truncated or damaged safetensors file: a header of {length} bytes was expected, "
            f"{len(data) - _LENGTH} are left"
        )
    budget.spend(_COST * length)
    header = _header(data[_LENGTH : _LENGTH + length])
    content = memoryview(data)[_LENGTH + length :]
    tensors, places = {}, []
    for name, entry in header.items():
        if name == _METADATA:
            _check_metadata(entry)
            continue
        tensors[name], place = _tensor(name, entry, content)
        places.append(place)
    _check_places(places, len(content))
    return tensors


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CorruptCheckpointError(f"the safetensors header is no sound JSON: {error}") from None
    if not isinstance(header, dict):
        raise CorruptCheckpointError("the safetensors header does not map names to arrays")
    return header


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not allowed")


def _check_metadata(entry: Any) -> None:
    if not isinstance(entry, dict) or not all(isinstance(v, str) for v in entry.values()):
        raise CorruptCheckpointError(f"{_METADATA} of the safetensors file must map names to text")


def _tensor(name: str, entry: Any, content: memoryview) -> tuple[Tensor, tuple[int, int]]:
    """Returns an array's description, checked against the file, and where it lies."""
    what = f"the safetensors entry {name[:200]!r}"
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise CorruptCheckpointError(f"{what} must have {', '.join(sorted(_FIELDS))}")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise CorruptCheckpointError(
            f"{what} is of dtype {str(kind)[:40]!r}; read are {', '.join(_DTYPES)}"
        )
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise CorruptCheckpointError(f"{what} has no sound shape and data_offsets")
    dtype, (start, end) = np.dtype(_DTYPES[kind]), offsets
    count = math.prod(shape)
    if not start <= end <= len(content) or end - start != count * dtype.itemsize:
        raise CorruptCheckpointError(
            f"{what}, {kind} of shape {shape}, takes {count * dtype.itemsize} bytes; data_offsets "
            f"{offsets} in {len(content)} bytes do not fit"
        )
    steps = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = Storage(dtype, count, content[start:end])
    return Tensor(storage, 0, tuple(shape), steps), (start, end)


def _are_sizes(value: Any) -> bool:
    """Tells whether `value` is a short list of whole numbers, none negative or huge."""
    return (
        isinstance(value, list)
        and len(value) <= 16
        and all(type(n) is int and 0 <= n < 1 << 48 for n in value)
    )


def _check_places(places: list[tuple[int, int]], size: int) -> None:
    """Arrays fill the file without gaps or overlaps, as every sound writer leaves it."""
    position = 0
    for start, end in sorted(places):
        if start != position:
            raise CorruptCheckpointError(
                f"the arrays of the safetensors file overlap or leave a gap at byte {position}"
            )
        position = end
    if position != size:
        raise CorruptCheckpointError(
            f"the arrays of the safetensors file end at byte {position} of {size}"
        )

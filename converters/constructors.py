"""The exact table of names that a checkpoint may mention, and the inert value each stands for.

Whatever is missing here is refused by name. To read a new kind of file, add its name with a
function that only builds data, and copies no more than the arguments themselves: that is what
`PickleMachine` has paid for. What is nested in an argument must be checked before it is copied,
hashed, compared or shown: it may be deep, or unfold without end.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from converters.errors import CorruptCheckpointError, UnsafeCheckpointError
from converters.unpickle import Buildable, Constructor, checked_key

_STORAGE_DTYPES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
}

THEANO_NETWORK = "network.Network"
NETWORKS = ("dnnlib.tflib.network.Network", "tfutil.Network", THEANO_NETWORK)
"""Classes of NVIDIA's networks before PyTorch: StyleGAN 1 and 2, PGGAN, PGGAN in Theano."""


@dataclass
class Storage:
    """A run of `count` numbers in the file; `data` may arrive after the pickle that names it."""

    dtype: np.dtype
    count: int
    data: memoryview | None = None

    def array(self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
        """Returns a read-only view, `offset` and `strides` in elements, checked against `count`."""
        if self.data is None:
            raise CorruptCheckpointError("a tensor's storage is missing from the file")
        size = self.dtype.itemsize
        if self.data.nbytes != self.count * size:
            raise CorruptCheckpointError(
                f"a storage of {self.count} {self.dtype} needs {self.count * size} bytes, "
                f"the file has {self.data.nbytes}"
            )
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if 0 not in shape and last >= self.count:
            raise CorruptCheckpointError(
                f"a tensor of shape {list(shape)} ends at element {last} of a storage of "
                f"{self.count}"
            )
        if 0 in shape:
            return np.zeros(shape, self.dtype)
        whole = np.frombuffer(self.data, self.dtype)
        steps = tuple(step * size for step in strides)
        return np.lib.stride_tricks.as_strided(whole[offset:], shape, steps, writeable=False)


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; all numbers in elements, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.offset, *self.shape, *self.strides)
        if not isinstance(self.storage, Storage) or len(self.shape) != len(self.strides):
            raise TypeError
        if len(self.shape) > 16 or any(type(n) is not int or not 0 <= n < 1 << 48 for n in numbers):
            raise ValueError
        if math.prod(n or 1 for n in self.shape) >= 1 << 48:  # NumPy refuses such empty ones too
            raise ValueError

    @property
    def nbytes(self) -> int:
        """Bytes that the tensor unfolds to, repeated elements counted."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self) -> np.ndarray:
        """Returns the numbers as a read-only view of the file."""
        return self.storage.array(self.offset, self.shape, self.strides)


class NumpyType(Buildable):
    """A pickled `numpy.dtype`: numbers and strings only, never objects or records."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str):
            raise TypeError
        if not re.fullmatch(r"[biufcSU]\d{1,9}", code):
            raise UnsafeCheckpointError(
                f"the file holds a numpy array of dtype {code[:40]!r}; only arrays of plain "
                "numbers and strings are read, and nothing was executed"
            )
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Takes the byte order out of numpy's dtype state."""
        if not isinstance(state, tuple):
            raise TypeError
        _version, order, subdtype, names, fields, *_ = state
        if subdtype is not None or names is not None or fields is not None:
            raise ValueError
        if order not in ("<", ">", "|", "="):
            raise ValueError
        self.dtype = self.dtype.newbyteorder(order)


class NumpyArray(Buildable):
    """A pickled `numpy.ndarray`, filled by BUILD."""

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray = np.zeros(0)

    def set_state(self, state: Any) -> None:
        """Takes numpy's array state: version, shape, dtype, order, bytes."""
        if not isinstance(state, tuple):
            raise TypeError
        *_, shape, kind, fortran, data = state
        if not isinstance(kind, NumpyType) or not isinstance(shape, tuple):
            raise TypeError
        if isinstance(data, str):  # as Python 2 stored its bytes
            data = data.encode("latin-1")
        flat = np.frombuffer(data, kind.dtype)
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class InertDict(dict[Any, Any], Buildable):
    """Any dictionary-like class; attributes set beside its items are dropped."""

    def set_state(self, state: Any) -> None:
        """Drops the state: a state dict keeps only version numbers there."""


class Namespace(InertDict):
    """An `argparse.Namespace`, made empty: its state is its contents."""

    def __init__(self) -> None:
        super().__init__()

    def set_state(self, state: Any) -> None:
        """Takes the arguments."""
        if not isinstance(state, dict):
            raise TypeError
        for key, value in state.items():
            self[checked_key(key)] = value


class Network(InertDict):
    """A network of NVIDIA's TensorFlow code: its state as data, without the source text in it.

    The original executes that text to rebuild the network.

    Args:
        class_name: the name that the file gives to the class; kept under "class_name".
    """

    def __init__(self, class_name: str) -> None:
        super().__init__(class_name=class_name)

    def set_state(self, state: Any) -> None:
        """Takes name, options, parts and variables."""
        if not isinstance(state, dict):
            raise TypeError
        for key, value in state.items():
            if key not in ("build_module_src", "class_name"):
                self[checked_key(key)] = value


def _network(class_name: str) -> Callable[..., Network]:
    def build() -> Network:
        return Network(class_name)

    return build


def _tuple(items: Any = ()) -> tuple[Any, ...]:
    if not isinstance(items, (list, tuple)):
        raise TypeError
    return tuple(items)


def _list(items: Any = ()) -> list[Any]:
    return list(_tuple(items))


def _pairs(items: Any = ()) -> InertDict:
    return InertDict((checked_key(key), value) for key, value in _tuple(items))


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
    return Tensor(storage, offset, _tuple(shape), _tuple(strides))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _scalar(kind: NumpyType, data: Any) -> Any:
    if not isinstance(kind, NumpyType) or kind.dtype.kind not in "biuf":
        raise TypeError
    if kind.dtype.itemsize != len(data):
        raise ValueError
    return np.frombuffer(data, kind.dtype)[0].item()


def _latin1(text: str, encoding: str) -> memoryview:
    if encoding != "latin1":
        raise ValueError
    return memoryview(text.encode("latin-1"))


def _persistent_object(meta: Any) -> dict[str, Any]:
    """NVIDIA's persistence: keeps the object's state, drops the source text it came with."""
    state = meta["state"]
    if not isinstance(state, dict):
        raise TypeError
    state.setdefault("class_name", meta["class_name"])
    return state


def table(load_from_bytes: Callable[..., Any]) -> Mapping[str, Constructor]:
    """Returns every name that a checkpoint may mention.

    Args:
        load_from_bytes: what stands for `torch.storage._load_from_bytes`: reads a nested stream
            under the same rules.
    """
    builders: dict[str, Callable[..., Any] | None] = {
        "argparse.Namespace": Namespace,
        "builtins.set": _list,
        "__builtin__.set": _list,
        "collections.OrderedDict": _pairs,
        "_codecs.encode": _latin1,
        "dnnlib.util.EasyDict": _pairs,
        "numpy.dtype": NumpyType,
        "numpy.ndarray": None,
        "torch.Size": _tuple,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch.storage._load_from_bytes": load_from_bytes,
        "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    }
    for core in ("numpy.core", "numpy._core"):
        builders[f"{core}.multiarray._reconstruct"] = NumpyArray
        builders[f"{core}.multiarray.scalar"] = _scalar
    for name in NETWORKS:
        builders[name] = _network(name)
    found = {name: Constructor(name, build) for name, build in builders.items()}
    for name, dtype in _STORAGE_DTYPES.items():
        found[f"torch.{name}"] = Constructor(f"torch.{name}", value=np.dtype(dtype))
    return found

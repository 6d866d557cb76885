"""A pickle machine that cannot execute anything: it only builds inert values.

A pickle is a program for a small stack machine. Python's own machine imports and calls whatever
the program names; this one knows the opcodes of data and looks every name up in a
fixed table of constructors (`converters.constructors`). There is no import, no call into a
foreign object, no attribute assignment, and no opcode that could reach one. Sizes are checked
against the bytes at hand, and memory is paid for out of a `Budget`, before anything is allocated.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from converters.errors import (
    MALFORMED,
    CheckpointError,
    CorruptCheckpointError,
    UnsafeCheckpointError,
)

_OPCODE_COST = 128  # bytes; no number, empty container, or place on the stack or memo takes more
_OBJECT_COST = 512  # nor does an object made by a constructor, or a view of the file
_ENTRY_COST = 128  # nor does an entry of a container that a constructor copies
_MAX_INT_BYTES = 16
_KEY_TYPES = (str, bytes, int, float, bool, type(None))


@dataclass(frozen=True)
class Constructor:
    """A name that a pickle may mention, and the inert value that stands for it.

    Attributes:
        name: the dotted name in the file.
        build: what REDUCE and NEWOBJ do, on the pickled arguments; `None` if it is data only.
        value: plain data carried by the name itself (the dtype of a storage type).
    """

    name: str
    build: Callable[..., Any] | None = None
    value: Any = None


class Budget:
    """Memory that a file's values may take beside the file itself: 64 MiB and four times its size.

    It is spent before it is allocated and never given back, so what is held is never more.

    Args:
        file_size: in bytes.
    """

    def __init__(self, file_size: int) -> None:
        self.total = 4 * file_size + (64 << 20)
        self._left = self.total

    def spend(self, count: int) -> None:
        """Takes `count` bytes, or raises `CorruptCheckpointError` if they are not left."""
        self._left -= count
        if self._left < 0:
            raise CorruptCheckpointError(
                f"the file unfolds to more than {self.total >> 20} MiB, the most that a sound "
                "file of its size needs"
            )


class Buildable(ABC):
    """A value whose state may be completed by the BUILD opcode."""

    @abstractmethod
    def set_state(self, state: Any) -> None:
        """Takes the pickled state."""


_MARK = object()


class PickleMachine:
    """Runs one pickle stream over `data` from `position` up to its STOP opcode.

    Args:
        data: the bytes that hold the stream.
        constructors: every name that the stream may use.
        budget: the memory that this and all other streams of the file share.
        persistent_load: turns a persistent id into a value; `None` refuses them.
        position: where the stream begins.
    """

    def __init__(
        self,
        data: memoryview,
        constructors: Mapping[str, Constructor],
        budget: Budget,
        persistent_load: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.data = data
        self.position = position
        self._constructors = constructors
        self._budget = budget
        self._persistent_load = persistent_load
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Returns the value that the stream describes, and leaves `position` behind it.

        Raises:
            UnsafeCheckpointError: if the stream mentions a name outside the table.
            CorruptCheckpointError: if it is malformed, truncated or beyond the limits.
        """
        while True:
            self._budget.spend(_OPCODE_COST)
            start = self.position
            opcode = self._take(1)[0]
            if opcode == _STOP:
                return self._pop()
            handler = _HANDLERS.get(opcode)
            if handler is None:
                raise CorruptCheckpointError(
                    f"pickle opcode 0x{opcode:02x} at byte {start} is not one that stored "
                    "networks use"
                )
            try:
                handler(self)
            except CheckpointError:
                raise
            except MALFORMED as error:
                raise CorruptCheckpointError(
                    f"malformed pickle at byte {start}: {type(error).__name__}"
                ) from None

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise CorruptCheckpointError(
                f"truncated pickle: {count} bytes expected at byte {self.position}, "
                f"{len(self.data) - self.position} left"
            )
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        for end in range(self.position, min(len(self.data), self.position + 1024)):
            if self.data[end] == ord("\n"):
                text = self._decoded(end - self.position)
                self.position += 1
                return text
        raise CorruptCheckpointError(f"unterminated name at byte {self.position}")

    def _decoded(self, length: int, encoding: str = "utf-8") -> str:
        data = self._take(length)
        # a character takes 1 byte up to U+00FF, then 2, then 4, beside the narrower copy
        wide = encoding == "utf-8" and max(data, default=0) > 0xC3
        self._budget.spend((6 if wide else 2) * length)
        return str(data, encoding, "surrogatepass" if encoding == "utf-8" else "strict")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError
        return value

    def _pop_to_mark(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        raise ValueError

    def _top(self, kind: type) -> Any:
        value = self._stack[-1]
        if not isinstance(value, kind):
            raise TypeError
        return value

    def _put(self, index: int) -> None:
        if self._stack[-1] is _MARK:
            raise ValueError
        self._memo[index] = self._stack[-1]

    def _find(self, name: str) -> None:
        constructor = self._constructors.get(name)
        if constructor is None:
            raise UnsafeCheckpointError(
                f"the file asks for {name[:200]!r}, which is not on the list of names that a "
                "checkpoint may use; reading stopped there and nothing was executed"
            )
        self._push(constructor)

    def _call(self, args: Any) -> None:
        constructor = self._pop()
        if not isinstance(constructor, Constructor) or constructor.build is None:
            raise TypeError
        if not isinstance(args, tuple):
            raise TypeError
        self._pay(args, *args)
        self._push(constructor.build(*args))

    def _pay(self, *arguments: Any) -> None:
        """Spends what an object made of `arguments` may take, a copy of each of them included."""
        self._budget.spend(_OBJECT_COST)
        for argument in arguments:
            if isinstance(argument, str):
                self._budget.spend(len(argument))
            elif isinstance(argument, (list, tuple, dict)):
                self._budget.spend(_ENTRY_COST * len(argument))

    def _global(self) -> None:
        module = self._line()
        self._find(f"{module}.{self._line()}")

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError
        self._find(f"{module[:200]}.{name[:200]}")

    def _extension(self) -> None:
        raise UnsafeCheckpointError(
            "the file asks for a copyreg extension, which no checkpoint may use; reading stopped "
            "there and nothing was executed"
        )

    def _newobj_ex(self) -> None:
        keywords, args = self._pop(), self._pop()
        if keywords:
            raise TypeError
        self._call(args)

    def _build(self) -> None:
        state = self._pop()
        self._pay(state, *(state if isinstance(state, tuple) else ()))
        self._top(Buildable).set_state(state)

    def _persistent_id(self) -> None:
        identifier = self._pop()
        if self._persistent_load is None:
            raise CorruptCheckpointError("a persistent id in a pickle that has no storages")
        self._pay()
        self._push(self._persistent_load(identifier))

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count or any(v is _MARK for v in self._stack[-count:]):
            raise ValueError
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._push(items)

    def _extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _update(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def _last(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _integer(self, length: int) -> None:
        if length > _MAX_INT_BYTES:
            raise CorruptCheckpointError(f"an integer of {length} bytes at byte {self.position}")
        self._push(int.from_bytes(self._take(length), "little", signed=True))

    def _text(self, length: int, encoding: str = "utf-8") -> None:
        self._push(self._decoded(length, encoding))

    def _bytes(self, length: int) -> None:
        self._pay()
        self._push(self._take(length))

    def _line_number(self) -> None:
        line = self._line().removesuffix("L")
        if len(line) > _MAX_INT_BYTES:
            raise ValueError
        self._push({"00": False, "01": True}.get(line, int(line)))

    def _dictionary(self) -> None:
        items = self._pop_to_mark()
        self._push({})
        self._update(items)


def checked_key(key: Any) -> Any:
    """Returns `key` if its hash is cheap, cannot recurse and is shared by few others, or raises."""
    if not isinstance(key, _KEY_TYPES):
        raise TypeError
    if isinstance(key, int) and abs(key) >= 1 << 64:
        raise ValueError
    return key


_STOP = ord(".")
_HANDLERS: dict[int, Callable[[PickleMachine], Any]] = {
    0x80: lambda m: m._take(1),  # PROTO
    0x95: lambda m: m._take(8),  # FRAME: the frames' lengths are not needed
    ord("("): lambda m: m._push(_MARK),
    ord("0"): lambda m: m._stack.pop(),
    ord("1"): lambda m: m._pop_to_mark(),
    ord("2"): lambda m: m._push(m._top(object)),
    # numbers and constants
    ord("N"): lambda m: m._push(None),
    0x88: lambda m: m._push(True),
    0x89: lambda m: m._push(False),
    ord("J"): lambda m: m._push(m._number("<i")),
    ord("K"): lambda m: m._push(m._number("<B")),
    ord("M"): lambda m: m._push(m._number("<H")),
    ord("G"): lambda m: m._push(m._number(">d")),
    0x8A: lambda m: m._integer(m._number("<B")),
    0x8B: lambda m: m._integer(m._number("<I")),
    # text and bytes; bytes stay views of the file
    ord("X"): lambda m: m._text(m._number("<I")),
    0x8C: lambda m: m._text(m._number("<B")),
    0x8D: lambda m: m._text(m._number("<Q")),
    ord("U"): lambda m: m._text(m._number("<B"), "latin-1"),
    ord("T"): lambda m: m._text(m._number("<I"), "latin-1"),
    ord("C"): lambda m: m._bytes(m._number("<B")),
    ord("B"): lambda m: m._bytes(m._number("<I")),
    0x8E: lambda m: m._bytes(m._number("<Q")),
    0x96: lambda m: m._bytes(m._number("<Q")),
    # protocol 0, one line an argument
    ord("I"): lambda m: m._line_number(),
    ord("L"): lambda m: m._line_number(),
    ord("F"): lambda m: m._push(float(m._line())),
    ord("S"): lambda m: m._push(m._line()[1:-1]),
    ord("V"): lambda m: m._push(m._line()),
    ord("p"): lambda m: m._put(int(m._line())),
    ord("g"): lambda m: m._push(m._memo[int(m._line())]),
    # containers
    ord(")"): lambda m: m._push(()),
    ord("t"): lambda m: m._push(tuple(m._pop_to_mark())),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("]"): lambda m: m._push([]),
    ord("l"): lambda m: m._push(m._pop_to_mark()),
    ord("a"): lambda m: m._extend(m._last(1)),
    ord("e"): lambda m: m._extend(m._pop_to_mark()),
    ord("}"): lambda m: m._push({}),
    ord("d"): lambda m: m._dictionary(),
    ord("s"): lambda m: m._update(m._last(2)),
    ord("u"): lambda m: m._update(m._pop_to_mark()),
    0x8F: lambda m: m._push([]),  # sets become lists
    0x90: lambda m: m._extend(m._pop_to_mark()),
    0x91: lambda m: m._push(m._pop_to_mark()),
    # memo
    ord("q"): lambda m: m._put(m._number("<B")),
    ord("r"): lambda m: m._put(m._number("<I")),
    0x94: lambda m: m._put(len(m._memo)),
    ord("h"): lambda m: m._push(m._memo[m._number("<B")]),
    ord("j"): lambda m: m._push(m._memo[m._number("<I")]),
    # names and objects: only through the table
    ord("c"): lambda m: m._global(),
    ord("i"): lambda m: m._global(),  # INST; the table refuses, or the next opcode fails
    0x93: lambda m: m._stack_global(),
    0x82: lambda m: m._extension(),
    0x83: lambda m: m._extension(),
    0x84: lambda m: m._extension(),
    ord("R"): lambda m: m._call(m._pop()),
    0x81: lambda m: m._call(m._pop()),
    0x92: lambda m: m._newobj_ex(),
    ord("b"): lambda m: m._build(),
    ord("Q"): lambda m: m._persistent_id(),
}

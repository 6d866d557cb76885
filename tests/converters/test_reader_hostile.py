"""Malicious and damaged files: refused by name, nothing executed, nothing large allocated."""

import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import forge
import numpy as np
import pytest

from converters import (
    CheckpointError,
    CorruptCheckpointError,
    UnsafeCheckpointError,
    read_checkpoint,
)

GOLDENS = Path(__file__).parents[1] / "goldens"
STATE = {"w": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "b": np.ones(5, np.float64)}
CONTAINERS = {
    "zip": forge.torch_zip(*forge.state_dict(STATE)),
    "legacy": forge.torch_legacy(*forge.state_dict(STATE)),
    "pickle": pickle.dumps({"a": np.arange(20), "b": [1, 2.5, "x"]}, 4),
}
watched: list[str] = []
armed = False


def _hook(event: str, arguments: object) -> None:
    forbidden = ("exec", "compile", "os.system", "os.exec", "subprocess.", "pickle.find_class")
    if armed and event.startswith(forbidden):
        watched.append(event)


sys.addaudithook(_hook)


@pytest.fixture(autouse=True)
def nothing_is_executed():
    """Fails a test if the interpreter compiles or runs code, or starts a process."""
    global armed
    armed = True
    watched.clear()
    yield
    armed = False
    assert watched == []


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def read(tmp_path, content):
    path = tmp_path / "hostile"
    path.write_bytes(content)
    return read_checkpoint(path)


@pytest.mark.parametrize("protocol", range(6))
def test_os_system_is_named_and_not_run(tmp_path, protocol):
    mark = tmp_path / "mark"
    content = pickle.dumps({"a": Evil(os.system, f"touch {mark}")}, protocol)
    with pytest.raises(UnsafeCheckpointError, match=f"{os.system.__module__}.system"):
        read(tmp_path, content)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("__builtin__", "compile"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("importlib", "import_module"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.jit", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("collections", "defaultdict"),
        ("copyreg", "_reconstructor"),
        ("converters.reader", "read_checkpoint"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections.OrderedDict", "__init__"),
    ],
)
def test_names_outside_the_table_are_refused(tmp_path, module, attribute):
    by_line = forge.pickle(forge.call(forge.name(module, attribute), forge.text("x")))
    by_stack = b"\x80\x04" + forge.text(module) + forge.text(attribute) + b"\x93)R."
    by_inst = b"\x80\x02(i" + f"{module}\n{attribute}\n".encode() + b"."
    for content in (by_line, by_stack, by_inst):
        with pytest.raises(UnsafeCheckpointError, match=attribute.split(".")[0]):
            read(tmp_path, content)


def test_hostile_names_inside_containers(tmp_path):
    evil = forge.call(forge.name("os", "system"), forge.text("true"))
    nested = forge.MAGIC + forge.pickle(forge.integer(1001)) + forge.pickle(forge.dict_({}))
    nested += forge.pickle(evil)
    blob = b"B" + struct.pack("<I", len(nested)) + nested
    load = forge.call(forge.name("torch.storage", "_load_from_bytes"), blob)
    system = forge.dict_({"little_endian": b"\x88"})
    good = nested.replace(forge.pickle(forge.dict_({})), forge.pickle(system))
    good_blob = b"B" + struct.pack("<I", len(good)) + good
    good_load = forge.call(forge.name("torch.storage", "_load_from_bytes"), good_blob)
    for content in (
        forge.torch_zip(evil, {}),
        forge.torch_legacy(evil, {}),
        forge.pickle(good_load),
        forge.torch_zip(forge.tuple_(evil) + b"Q", {}),
    ):
        with pytest.raises(UnsafeCheckpointError, match=r"os\.system"):
            read(tmp_path, content)
    with pytest.raises(CorruptCheckpointError, match="big-endian"):
        read(tmp_path, forge.pickle(load))


@pytest.mark.parametrize("code", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_extension_codes_are_refused(tmp_path, code):
    with pytest.raises(UnsafeCheckpointError, match="extension"):
        read(tmp_path, b"\x80\x02" + code + b".")


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", forge.pickle(b"N"))
        archive.writestr("m/constants.pkl", forge.pickle(b"N"))
    with pytest.raises(UnsafeCheckpointError, match="TorchScript"):
        read_checkpoint(path)


@pytest.mark.parametrize("dtype", ["O8", "V8", "f4,f4", "(9999999,)f4", "M8[ns]"])
def test_numpy_arrays_of_anything_but_numbers_are_refused(tmp_path, dtype):
    kind = forge.call(forge.name("numpy", "dtype"), forge.text(dtype), b"\x89", b"\x88")
    with pytest.raises(UnsafeCheckpointError, match="dtype"):
        read(tmp_path, forge.pickle(kind))


def test_state_cannot_be_set_on_the_readers_own_objects(tmp_path):
    state = forge.dict_({"build": forge.integer(1)})
    body = forge.name("collections", "OrderedDict") + state + b"b"
    with pytest.raises(CorruptCheckpointError, match="malformed"):
        read(tmp_path, forge.pickle(body))


def bomb(kind: str) -> bytes:
    many = forge.integer(1 << 40)
    float_storage = forge.name("torch", "FloatStorage")
    text = forge.text
    if kind == "bytes":
        return b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x."
    if kind == "bytearray":
        return b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x."
    if kind == "text":
        return b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x."
    if kind == "long":
        return b"\x80\x02\x8b" + struct.pack("<I", 1 << 30) + b"x" * 100 + b"."
    if kind == "memo":
        return b"\x80\x02Nr" + struct.pack("<I", 0xFFFFFFFF) + b"."
    if kind == "frame":
        return b"\x80\x04\x95" + struct.pack("<Q", 1 << 62)
    if kind == "storage":
        reference = forge.tuple_(text("storage"), float_storage, text("0"), text("cpu"), many)
        return forge.torch_legacy(reference + b"Q", {"0": (1 << 40, b"xxxx")})
    if kind == "expanded":
        body = forge.tensor("FloatStorage", "0", 1, 0, (1 << 20, 1 << 20), (0, 0))
        return forge.torch_zip(body, {"0": (1, b"xxxx")})
    if kind == "outside":
        body = forge.tensor("FloatStorage", "0", 1, 0, (1 << 20,), (1 << 20,))
        return forge.torch_zip(body, {"0": (1, b"xxxx")})
    if kind == "negative":
        body = forge.tensor("FloatStorage", "0", 4, 2, (2,), (-1,))
        return forge.torch_zip(body, {"0": (4, b"x" * 16)})
    if kind == "zip":
        body = forge.tensor("ByteStorage", "0", 1 << 28, 0, (4,), (1,))
        return forge.torch_zip(body, {"0": (1 << 28, bytes(1 << 28))}, zipfile.ZIP_DEFLATED)
    if kind == "containers":
        return b"\x80\x02" + b"}" * 2_000_000 + b"."
    if kind == "depth":
        return b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    if kind == "tuple key":
        return b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"Ns."
    if kind == "cycle":
        return b"\x80\x02]q\x00h\x00a."
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "bytes", "bytearray", "text", "long", "frame", "storage", "expanded", "outside",
        "negative", "zip", "containers", "depth", "tuple key", "cycle",
    ],
)  # fmt: skip
def test_bombs_do_not_go_off(tmp_path, kind):
    content = bomb(kind)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptCheckpointError):
            read(tmp_path, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(content) + (65 << 20)


def test_huge_memo_index_costs_nothing(tmp_path):
    assert read(tmp_path, bomb("memo")).tree is None


def test_shared_references_do_not_unfold(tmp_path):
    """Thirty lists that each hold the next one twice: 2^30 leaves if unfolded, 30 if not."""
    body = b"]q\x00"
    for level in range(1, 30):
        body += b"](h" + bytes([level - 1]) + b"h" + bytes([level - 1]) + b"eq" + bytes([level])
    tree = read(tmp_path, b"\x80\x02" + body + b".").tree
    assert tree[0] is tree[1]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_truncation_is_refused(tmp_path, kind):
    content = CONTAINERS[kind]
    for end in range(0, len(content) - 1, 3):
        with pytest.raises(CorruptCheckpointError):
            read(tmp_path, content[:end])


@pytest.mark.parametrize("kind", CONTAINERS)
def test_damage_raises_only_our_errors(tmp_path, kind):
    random = np.random.RandomState(0)
    content = np.frombuffer(CONTAINERS[kind], np.uint8)
    refused = 0
    for _ in range(400):
        damaged = content.copy()
        places = random.randint(0, len(content), random.randint(1, 6))
        damaged[places] = random.randint(0, 256, len(places))
        try:
            read(tmp_path, damaged.tobytes())
        except CheckpointError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("golden", sorted(p.parent.name for p in GOLDENS.glob("*/*.pkl")))
def test_the_canaries_sleep(golden):
    """The pickles' embedded text raises if executed; the autouse fixture watches for it."""
    path = GOLDENS / golden / "checkpoint.pkl"
    assert b"raise" in path.read_bytes()
    assert read_checkpoint(path).tree["G_ema"]["class_name"] == "Generator"
    assert "torch" not in sys.modules or sys.modules["torch"].__name__ == "torch"

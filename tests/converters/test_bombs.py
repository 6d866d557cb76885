"""Small files that ask for much memory, a deep stack or endless work: the budget stops them all."""

import struct
import tracemalloc
import zipfile

import forge
import pytest

from converters import CorruptCheckpointError, read_checkpoint

NONES = b"](" + b"N" * 100_000 + b"e"
TEXT = forge.text("A" * 1_000_000)
PAIRS = b"(" + b"".join(forge.integer(i) + b"N" for i in range(20_000))
STATE = b"}" + PAIRS + b"u"
PART = forge.name("tfutil", "Network") + b")\x81}" + forge.text("a")
DEEP = b")" + b"\x85" * 200_000


def numbered(opcode: bytes, index: int) -> bytes:
    return opcode + struct.pack("<I", index)


def repeated(function: bytes, argument: bytes, times: int) -> bytes:
    """Calls a function on one and the same argument, and keeps all results."""
    kept = argument + b"\x85" + numbered(b"r", 1) + b"0" + function + numbered(b"r", 2) + b"0"
    return forge.pickle(kept + b"(" + (numbered(b"j", 2) + numbered(b"j", 1) + b"R") * times + b"t")


def doubled(levels: int) -> bytes:
    """A tuple that unfolds to 2^levels leaves."""
    return b"N\x85" + b"2\x86" * levels


def updates(module: str, attribute: str, times: int) -> bytes:
    """Builds objects, each with the same large state."""
    one = forge.name(module, attribute) + b")R" + numbered(b"j", 1) + b"b"
    return forge.pickle(STATE + numbered(b"r", 1) + b"0(" + one * times + b"t")


def arrays_of_text(times: int) -> bytes:
    """Makes arrays of one and the same text, as Python 2 stored their numbers."""
    kind = forge.call(forge.name("numpy", "dtype"), forge.text("u1"))
    shape = forge.tuple_(forge.integer(1_000_000))
    state = forge.tuple_(b"K\x01", shape, kind, b"\x89", TEXT) + numbered(b"r", 1) + b"0"
    one = forge.name("numpy.core.multiarray", "_reconstruct") + b")R" + numbered(b"j", 1) + b"b"
    return forge.pickle(state + b"(" + one * times + b"t")


def directory(entries: int) -> bytes:
    """A zip archive whose directory lists one record again and again."""
    whole = forge.torch_zip(b"N", {})
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    entry = whole[start : whole.index(b"PK\x01\x02", start + 1)]
    size = struct.pack("<II", len(entry) * entries, start)
    return whole[:start] + entry * entries + whole[end : end + 12] + size + b"\0\0"


def shrunk(size: int) -> bytes:
    """A compressed record that claims to unfold to 10 bytes."""
    whole = bytearray(forge.torch_zip(forge.text("A" * size), {}, zipfile.ZIP_DEFLATED))
    start = whole.index(b"PK\x01\x02")
    whole[start + 24 : start + 28] = struct.pack("<I", 10)
    return bytes(whole)


def legacy(keys: bytes) -> bytes:
    system = forge.dict_({"little_endian": b"\x88"})
    parts = (forge.integer(1001), system, b"N", keys)
    return forge.MAGIC + b"".join(map(forge.pickle, parts))


def tensor(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    body = forge.tensor("FloatStorage", "0", 4, offset, shape, strides)
    return forge.torch_zip(body, {"0": (4, b"x" * 16)})


def huge_storage() -> bytes:
    parts = (forge.text("0"), forge.text("cpu"), forge.integer(1 << 40))
    reference = (forge.text("storage"), forge.name("torch", "FloatStorage"), *parts)
    return forge.torch_legacy(forge.tuple_(*reference) + b"Q", {"0": (1 << 40, b"xxxx")})


def deflated() -> bytes:
    body = forge.tensor("ByteStorage", "0", 1 << 28, 0, (4,), (1,))
    return forge.torch_zip(body, {"0": (1 << 28, bytes(1 << 28))}, zipfile.ZIP_DEFLATED)


BOMBS = {
    # lengths that are not there
    "bytes": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "bytearray": lambda: b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",
    "text": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "integer": lambda: b"\x80\x02\x8b" + struct.pack("<I", 1 << 30) + b"x" * 100 + b".",
    "frame": lambda: b"\x80\x04\x95" + struct.pack("<Q", 1 << 62),
    "storage": huge_storage,
    "expanded tensor": lambda: tensor((1 << 20, 1 << 20), (0, 0)),
    "tensor outside": lambda: tensor((1 << 20,), (1 << 20,)),
    "negative stride": lambda: tensor((2,), (-1,), 2),
    "huge empty tensor": lambda: tensor((0, 1 << 47, 1 << 47), (1, 1, 1)),
    # copies of one argument
    "lists": lambda: repeated(forge.name("builtins", "set"), NONES, 600),
    "tuples": lambda: repeated(forge.name("torch", "Size"), NONES, 600),
    "letters": lambda: repeated(forge.name("torch", "Size"), TEXT, 60),
    "letters of a set": lambda: repeated(forge.name("builtins", "set"), TEXT, 60),
    "encoded text": lambda: repeated(
        forge.name("_codecs", "encode"), TEXT + forge.text("latin1") + b"\x86\x85", 500
    ).replace(b"\x86\x85\x85", b"\x86"),
    "dicts": lambda: repeated(
        forge.name("collections", "OrderedDict"),
        b"](" + b"".join(forge.integer(i) + b"N\x86" for i in range(20_000)) + b"e",
        250,
    ),
    "namespaces": lambda: updates("argparse", "Namespace", 500),
    "networks": lambda: updates("dnnlib.tflib.network", "Network", 500),
    "arrays of text": lambda: arrays_of_text(100),
    "namespaces of a dict": lambda: repeated(forge.name("argparse", "Namespace"), STATE, 500),
    # many small values
    "empty dicts": lambda: forge.pickle(b"}" * 800_000),
    "empty lists": lambda: forge.pickle(b"(" + b"]" * 400_000 + b"t"),
    "empty bytes": lambda: forge.pickle(b"(" + b"C\x00" * 400_000 + b"t"),
    # archives
    "deflated zeros": deflated,
    "deflated lie": lambda: shrunk(1 << 28),
    "directory": lambda: directory(300_000),
}


NESTED = {
    "list": forge.pickle(b"]" * 100_000 + b"a" * 99_999),
    "key": forge.pickle(b"}" + DEEP + b"Ns"),
    "key of a namespace": forge.pickle(
        forge.call(forge.name("argparse", "Namespace"), b"](" + DEEP + b"N\x86e")
    ),
    "key of a dict": forge.pickle(
        forge.call(forge.name("collections", "OrderedDict"), b"](" + DEEP + b"N\x86e")
    ),
    "key of a storage": legacy(b"](" + DEEP + b"e"),
    "dtype": forge.pickle(forge.call(forge.name("numpy", "dtype"), DEEP)),
    "endless dtype": forge.pickle(forge.call(forge.name("numpy", "dtype"), doubled(40))),
    "parts of networks": forge.pickle(PART * 1000 + b"N" + b"sb" * 1000),
    "network in itself": forge.pickle(
        forge.name("tfutil", "Network") + b")\x81q\x00}" + forge.text("a") + b"h\x00sb"
    ),
    "cycle": b"\x80\x02]q\x00h\x00a.",
}


def read(tmp_path, content):
    """Reads a file and checks that the memory it took stays within the budget."""
    path = tmp_path / "bomb"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return read_checkpoint(path).tree
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(content) + 4 * len(content) + (64 << 20) + (1 << 20)


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_do_not_go_off(tmp_path, kind):
    with pytest.raises(CorruptCheckpointError):
        read(tmp_path, BOMBS[kind]())


@pytest.mark.parametrize("kind", NESTED)
def test_depth_breaks_no_stack(tmp_path, kind):
    """A value that is hashed, compared or shown in C at any depth ends the process."""
    path = tmp_path / "deep"
    path.write_bytes(NESTED[kind])
    with pytest.raises(CorruptCheckpointError):
        read_checkpoint(path)


def test_a_huge_memo_index_costs_nothing(tmp_path):
    assert read(tmp_path, b"\x80\x02Nr" + struct.pack("<I", 0xFFFFFFFF) + b".") is None


def test_shared_references_do_not_unfold(tmp_path):
    tree = read(tmp_path, forge.pickle(doubled(30)))
    assert tree[0] is tree[1]


def test_shared_bytes_and_states_are_not_copied(tmp_path):
    blob = b"B" + struct.pack("<I", 4000) + b"x" * 4000
    tree = read(tmp_path, forge.pickle(blob + b"q\x00](" + b"h\x00" * 100_000 + b"e\x86"))
    assert tree[1][0] is tree[1][99_999] is tree[0]
    meta = b"}(" + forge.text("state") + STATE + forge.text("class_name") + forge.text("G") + b"u"
    build = forge.name("torch_utils.persistence", "_reconstruct_persistent_obj")
    tree = read(tmp_path, repeated(build, meta, 200))
    assert tree[0] is tree[199]
    assert tree[0]["class_name"] == "G"

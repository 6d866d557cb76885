"""Malicious and damaged files: refused by name, nothing executed; only our errors come out."""

import encodings.cp437  # noqa: F401 - zipfile imports it with its first archive, which the hook would report
import os
import pickle
import struct
import sys
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
from converters.errors import MALFORMED

GOLDENS = Path(__file__).parents[1] / "goldens"
STATE = {"w": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "b": np.ones(5, np.float64)}
CONTAINERS = {
    "zip": forge.torch_zip(*forge.state_dict(STATE)),
    "legacy": forge.torch_legacy(*forge.state_dict(STATE)),
    "pickle": pickle.dumps({"a": np.arange(20), "b": [1, 2.5, "x"]}, 4),
    "pickle of networks": forge.tensorflow(
        (None, forge.Network({"a": np.arange(9)}, components=forge.EasyDict(b=forge.Network({}))))
    ),
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
        ("dnnlib.tflib.network", "Network.__setstate__"),
        ("dnnlib.tflib", "run"),
        ("tfutil", "run"),
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


def test_a_network_takes_only_a_dict_as_its_state(tmp_path):
    new = forge.name("tfutil", "Network") + b")\x81"
    for state in (forge.integer(1), b"](K\x01K\x02e", forge.tuple_(forge.dict_({}), b"N")):
        with pytest.raises(CorruptCheckpointError, match="malformed"):
            read(tmp_path, forge.pickle(new + state + b"b"))
    for arguments in (b"(K\x01t", b"(Ncos\nsystem\nt"):
        with pytest.raises((CorruptCheckpointError, UnsafeCheckpointError)):
            read(tmp_path, forge.pickle(forge.name("tfutil", "Network") + arguments + b"\x81"))


def test_a_network_cannot_change_its_class_or_bring_its_source(tmp_path):
    state = {"class_name": b"N", "build_module_src": forge.text("x"), "name": forge.text("Gs")}
    new = forge.name("tfutil", "Network") + b")\x81"
    node = read(tmp_path, forge.pickle(new + forge.dict_(state) + b"b")).tree
    assert node == {"class_name": "tfutil.Network", "name": "Gs"}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_truncation_is_refused(tmp_path, kind):
    content = CONTAINERS[kind]
    for end in range(0, len(content) - 1, 3):
        with pytest.raises(CorruptCheckpointError):
            read(tmp_path, content[:end])


def view(*parts):
    reference = (
        *(forge.text("storage"), forge.name("torch", "FloatStorage"), forge.text("0")),
        *(forge.text("cpu"), forge.integer(4), *parts),
    )
    return forge.torch_legacy(forge.tuple_(*reference) + b"Q", {"0": (4, b"x" * 16)})


HALF = b"G" + struct.pack(">d", 0.5)
MALFORMED_FILES = {
    "view of texts": view(forge.tuple_(*map(forge.text, "abc"))),
    "view of halves": view(forge.tuple_(forge.text("a"), HALF, forge.integer(1))),
    "view too short": view(forge.tuple_(forge.text("a"))),
    "view too long": view(forge.tuple_(forge.text("a"), *map(forge.integer, (0, 1, 2)))),
    "view of a number": view(forge.integer(7)),
    "list as a storage's key": forge.torch_legacy(b"N", {}).replace(b"](e", b"](]e"),
    "number instead of the list": forge.torch_legacy(b"N", {}).replace(b"](e", b"K\x07"),
    "lzma": forge.torch_zip(b"N", {}, zipfile.ZIP_LZMA),
    "state of a dtype": forge.pickle(
        forge.call(forge.name("numpy", "dtype"), forge.text("f4")) + forge.text("123456") + b"b"
    ),
    "state of an array": forge.pickle(
        forge.name("numpy.core.multiarray", "_reconstruct") + b")R" + forge.text("1234") + b"b"
    ),
    "keys that could share a hash": forge.pickle(b"}" + forge.tuple_(b"K\x01") + b"Ns"),
    "number with too many digits": forge.pickle(b"I" + b"9" * 900 + b"\n"),
    "infinite array": forge.pickle(
        forge.name("numpy.core.multiarray", "_reconstruct")
        + b")R"
        + forge.tuple_(
            *(b"K\x01", forge.tuple_(b"\x8a\x0d" + (1 << 100).to_bytes(13, "little"))),
            forge.call(forge.name("numpy", "dtype"), forge.text("f4")),
            *(b"\x89", b"C\x04xxxx"),
        )
        + b"b"
    ),
}


@pytest.mark.parametrize("kind", MALFORMED_FILES)
def test_malformed_values_raise_only_our_errors(tmp_path, kind):
    with pytest.raises(CorruptCheckpointError):
        read(tmp_path, MALFORMED_FILES[kind])


def test_a_compressed_archive_is_explained(tmp_path):
    content = forge.torch_zip(*forge.state_dict(STATE), zipfile.ZIP_DEFLATED)
    with pytest.raises(CorruptCheckpointError, match=r"compressed.*zip -0"):
        read(tmp_path, content)


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("mistake", MALFORMED)
def test_no_mistake_of_the_reader_leaves_a_traceback(tmp_path, monkeypatch, kind, mistake):
    def fail(*_):
        raise mistake("odd")

    monkeypatch.setattr("converters.reader._Plain.convert", fail)
    with pytest.raises(CorruptCheckpointError, match=f"malformed .*{kind.split()[0]}"):
        read(tmp_path, CONTAINERS[kind])


def test_names_from_the_file_cannot_steer_the_terminal(tmp_path):
    with pytest.raises(UnsafeCheckpointError) as caught:
        read(tmp_path, forge.pickle(forge.name("os\x1b[2J", "\u202esystem")))
    assert str(caught.value).isprintable()
    message = str(CheckpointError("a\x1b[31m\x07\nb\ud800" + "x" * 1_000_000))
    assert message.isprintable()
    assert message.startswith(r"a\x1b[31m\x07\nb\ud800")
    assert len(message) < 5000


@pytest.mark.parametrize("golden", sorted(p.parent.name for p in GOLDENS.glob("*/*.pkl")))
def test_the_canaries_sleep(golden):
    """The pickles' embedded text raises if executed; the autouse fixture watches for it."""
    path = GOLDENS / golden / "checkpoint.pkl"
    assert b"raise" in path.read_bytes()
    tree = read_checkpoint(path).tree
    names = [tree["G_ema"]["class_name"]] if "G_ema" in tree else [n["class_name"] for n in tree]
    assert set(names) <= {"Generator", "dnnlib.tflib.network.Network", "tfutil.Network"}
    assert "torch" not in sys.modules or sys.modules["torch"].__name__ == "torch"

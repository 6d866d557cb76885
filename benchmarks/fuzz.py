"""`python -m benchmarks.fuzz`: damaged files of every container kind, read and converted.

Shows that a file, however damaged, gives a network or one of our errors; that reading it never
takes more memory than the file, four times its size and 64 MiB; and that nothing in it is executed.
"""

import importlib
import pickle
import sys
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
from safetensors.numpy import save as safetensors

from benchmarks.mutations import mutated
from benchmarks.parity.goldens import OWN
from converters import (
    CheckpointError,
    CorruptCheckpointError,
    UnsafeCheckpointError,
    read_checkpoint,
)
from converters import convert as convert_file
from converters.reader import _read
from jaxlatent.parameters import build, parameter_shapes
from tests import forge

_SPARE = 1 << 20  # bytes for what is not the file's: error messages, caches
_EVENTS = (
    *("exec", "compile", "import", "open", "os.system", "os.exec", "os.posix_spawn", "os.fork"),
    *("os.spawn", "os.putenv", "os.remove", "os.rename", "subprocess.Popen", "pickle.find_class"),
    *("ctypes.", "socket.", "code.__new__", "marshal.", "shutil.", "urllib."),
)
_LEFT_OUT = ("b16", "b32", *(f"fc{i}" for i in range(2, 8)))  # layers of the StyleGAN2
_WIDTHS = {"main.0": (6, 5), "main.3": (5, 4), "main.6": (4, 3)}


def _dcgan() -> dict[str, np.ndarray]:
    """Returns the arrays of a small DCGAN."""
    chance = np.random.RandomState(0)
    arrays = {}
    for name, (inputs, outputs) in _WIDTHS.items():
        kernel = chance.standard_normal((inputs, outputs, 4, 4))
        arrays[f"{name}.weight"] = kernel.astype(np.float32)
    return arrays


def _stylegan2() -> dict[str, Any]:
    """Returns the first layers of a golden's pickled modules, without their empty lists."""

    def kept(module: dict[str, Any]) -> dict[str, Any]:
        children = {
            name: kept(child) for name, child in module["_modules"].items() if name not in _LEFT_OUT
        }
        plain = {k: v for k, v in module.items() if not isinstance(v, (dict, list)) or v}
        return plain | {"_modules": children}

    path = OWN / "ada_res32_fir_asym" / "checkpoint.pkl"
    return {"G_ema": kept(read_checkpoint(path).tree["G_ema"])}


def _resealed() -> Iterator[Any]:
    """Yields the pickle of an archive, then what packs a damaged one with sound checksums."""
    body, storages = forge.state_dict(_dcgan())
    yield forge.pickle(body)
    yield lambda data: forge.torch_zip(data[2:-1], storages)


@dataclass(frozen=True)
class Seed:
    """A small sound file.

    Attributes:
        data: what is damaged: the file, or a part of it.
        pack: makes the file of it.
    """

    data: bytes
    pack: Callable[[bytes], bytes] = lambda data: data


SEEDS: dict[str, Callable[[], Seed]] = {
    "torch zip": lambda: Seed(forge.torch_zip(*forge.state_dict(_dcgan()))),
    "  its pickle": lambda: Seed(*_resealed()),
    "torch legacy": lambda: Seed(forge.torch_legacy(*forge.state_dict(_dcgan()))),
    "NVIDIA pickle": lambda: Seed(forge.pickle(forge.persistent(_stylegan2()))),
    "TensorFlow pickle": lambda: Seed((OWN / "tf_pggan_res32" / "checkpoint.pkl").read_bytes()),
    "plain pickle": lambda: Seed(pickle.dumps(_dcgan(), 4)),
    "safetensors": lambda: Seed(safetensors(_dcgan())),
}
"""A small sound file of each container kind."""


@dataclass
class Tally:
    """What became of the mutations of one kind of file.

    Attributes:
        kind: of the file.
        read: files that still give a network.
        corrupt: files refused as damaged.
        refused: files refused as unsafe, or for not fitting a network.
        other: what else happened, which is a defect; each with the seed of its mutation.
        peak: the most bytes that reading took beside the file.
        limit: the bytes that reading the same file might have taken.
        events: what was executed, opened or imported while a file was read; defects too.
    """

    kind: str
    read: int = 0
    corrupt: int = 0
    refused: int = 0
    other: list[str] = field(default_factory=list)
    peak: int = 0
    limit: int = 0
    events: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Everything that must not happen, and did."""
        return [*self.other, *self.events]


_watched: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and event.startswith(_EVENTS):
        _watched.append(f"{event} {arguments!r}"[:200])


@cache
def _install() -> None:
    sys.addaudithook(_hook)  # hooks cannot be removed: one for the process, and a switch


@contextmanager
def _watch(events: list[str]) -> Iterator[None]:
    global _watched
    _install()
    _watched = events
    try:
        yield
    finally:
        _watched = None


@contextmanager
def _building_once() -> Iterator[None]:
    """Builds one network for each config: how arrays that fit are filled in is not in question."""
    module = importlib.import_module("converters.convert")
    built: dict[Any, Any] = {}

    def remember(config: Any, arrays: Any, origin: Any) -> Any:
        if config not in built:
            built[config] = build(config, arrays, origin)
        return built[config]

    with (
        mock.patch.object(module, "parameter_shapes", cache(parameter_shapes)),
        mock.patch.object(module, "build", remember),
        mock.patch.object(module, "cast", lambda model, dtype: model),
    ):
        yield


def _outcome(action: Callable[[], Any]) -> tuple[str, str]:
    try:
        action()
    except CorruptCheckpointError:
        return "corrupt", ""
    except UnsafeCheckpointError:
        return "refused", ""
    except CheckpointError as error:  # what is caught at the last is a defect as well
        return ("other" if "not a sound" in str(error) else "refused"), str(error)
    except Exception as error:
        return "other", f"{type(error).__name__}: {error}"
    return "read", ""


def fuzz(kind: str, mutations: int, seed: int = 0) -> Tally:
    """Damages a file again and again, and reads and converts each.

    Args:
        kind: one of `SEEDS`.
        mutations: how many.
        seed: of the first one.

    Raises:
        CheckpointError: if the file is not sound to begin with.
    """
    tally, sound = Tally(kind), SEEDS[kind]()
    with tempfile.TemporaryDirectory() as folder, _building_once():
        path = Path(folder) / "model"
        path.write_bytes(sound.pack(sound.data))
        convert_file(path)  # also imports what is imported at first use
        first = zlib.crc32(kind.encode()) + (seed << 32)
        for number in range(first, first + mutations):
            damaged = sound.pack(mutated(sound.data, number))
            _try(tally, path, damaged, f"mutation {number - first}")
    return tally


def _try(tally: Tally, path: Path, data: bytes, what: str) -> None:
    tracemalloc.start()
    events: list[str] = []
    with _watch(events):
        outcome, message = _outcome(lambda: _read(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    limit = 4 * len(data) + (64 << 20)
    if peak > limit + _SPARE:
        tally.other.append(f"{what}: {peak} bytes for a file of {len(data)}")
    if peak > tally.peak:
        tally.peak, tally.limit = peak, limit
    tally.events += [f"{what}: {event}" for event in events]
    if outcome == "read":
        path.write_bytes(data)
        outcome, message = _outcome(lambda: convert_file(path))
    if outcome == "other":
        tally.other.append(f"{what}: {message}"[:300])
    else:
        setattr(tally, outcome, getattr(tally, outcome) + 1)


@click.command()
@click.option("--mutations", default=2000, show_default=True, help="Of each kind of file.")
@click.option("--seed", default=0, show_default=True, help="Of the mutations.")
@click.argument("kinds", nargs=-1)
def main(mutations: int, seed: int, kinds: tuple[str, ...]) -> None:
    """Damage small files of all KINDS, or of those named, and read them."""
    header = ("kind", "mutations", "read", "corrupt", "refused", "other", "executed", "peak MiB")
    click.echo("{:<18} {:>9} {:>6} {:>8} {:>8} {:>6} {:>9} {:>9}".format(*header))
    violations = []
    for kind in kinds or SEEDS:
        tally = fuzz(kind, mutations, seed)
        violations += [f"{kind}: {text}" for text in tally.violations]
        click.echo(
            f"{kind:<18} {mutations:>9} {tally.read:>6} {tally.corrupt:>8} {tally.refused:>8} "
            f"{len(tally.other):>6} {len(tally.events):>9} {tally.peak / 2**20:>9.2f}"
        )
    for violation in violations[:20]:
        click.echo(violation, err=True)
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()

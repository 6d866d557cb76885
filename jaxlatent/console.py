"""What the commands share: writing images, a progress bar, one-line warnings."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np

from jaxlatent.errors import UserError
from jaxlatent.files import atomic_file

Write = Callable[[np.ndarray, Callable[[], Any]], None]


def say_error(word: str, message: object) -> None:
    """Prints `jaxlatent: word: message` on stderr, in one line."""
    click.echo(f"jaxlatent: {word}: {' '.join(str(message).split())}", err=True)


def counted(count: int, noun: str) -> str:
    """Returns a number of things, in words.

    Example:
        >>> counted(1, "direction"), counted(3, "direction")
        ('1 direction', '3 directions')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def checked_suffix(path: str, *allowed: str) -> str:
    """Returns the suffix of `path`, or raises `UserError` if it is not one of `allowed`."""
    suffix = Path(path).suffix
    if suffix not in allowed:
        raise UserError(f"{path}: the name must end in {' or '.join(allowed)}")
    return suffix


@contextmanager
def image_file(out: str) -> Iterator[Write]:
    """Yields what writes images to `out`, as `.npy` or as the sheet that it is given.

    The place is opened first, so that no work is lost.

    Raises:
        UserError: if `out` cannot be written, or an image is not finite.
    """
    suffix = checked_suffix(out, ".png", ".npy")
    start = time.perf_counter()
    with atomic_file(out) as temporary:

        def write(images: np.ndarray, sheet: Callable[[], Any]) -> None:
            if not np.isfinite(images).all():
                raise UserError(
                    "some images are not finite: the codes are too far from what the generator "
                    "was trained on; use a smaller --psi, smaller --strengths or other --codes"
                )
            if suffix == ".npy":
                np.save(temporary, images)
            else:
                sheet().save(temporary, format="PNG")
            count = math.prod(images.shape[:-3])
            seconds = time.perf_counter() - start
            height, width = images.shape[-3:-1]
            told = counted(count, "image")
            click.echo(f"{out}: {told} of {height}x{width} in {seconds:.1f} s")

        yield write


def progress_bar(unit: str = "img") -> Callable[[int, int], None]:
    """Returns what draws a progress bar on stderr, if a person is there to see it.

    Args:
        unit: what is counted. When all is done the bar vanishes, and a new one starts.
    """
    from tqdm import tqdm

    bar = None

    def update(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, unit=unit, disable=None, leave=False)
        bar.update(done - bar.n)
        if done == total:
            bar.close()
            bar = None

    return update

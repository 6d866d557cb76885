"""Outputs that are whole or absent, written under a temporary name; inputs of plain numbers."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jaxlatent.errors import UserError


def _temporary(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex[:12]}.tmp{path.suffix}")


def _checked(path: str | os.PathLike[str]) -> Path:
    if not str(path):
        raise UserError("the name to write to is empty")
    try:
        path = Path(path).resolve()  # a link keeps pointing to what is written
    except (OSError, RuntimeError):  # a link to itself, before Python 3.13
        path = Path(path)
    if path.is_symlink():
        raise UserError(f"cannot write {path}: it is a link to itself")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}")
    return path


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` if the block succeeds, and vanishes if not.

    Opened at once, so that a place that cannot be written is found before any work.

    Raises:
        UserError: if `path` cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp(), "a.txt")
        >>> with atomic_file(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = _checked(path)
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder")
    temporary = _temporary(path)
    try:
        temporary.touch()
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Yields a temporary folder that becomes `path` if the block succeeds.

    Args:
        path: absent, an empty folder, or an earlier folder of the same kind, then replaced.
        is_ours: whether a folder is of this kind and holds nothing besides.

    Raises:
        UserError: if `path` is something else, or cannot be written.
    """
    path = _checked(path)
    _check_replaceable(path, is_ours)
    temporary, retired = _temporary(path), _temporary(path)
    try:
        temporary.mkdir()
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    try:
        yield temporary
        _check_replaceable(path, is_ours)  # the work took time: somebody may have put things there
        try:
            if path.exists():
                path.rename(retired)
            temporary.rename(path)
        except BaseException:
            if retired.exists() and not path.exists():
                retired.rename(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists():
            shutil.rmtree(retired, ignore_errors=True)


def _check_replaceable(path: Path, is_ours: Callable[[Path], bool]) -> None:
    old = path.is_dir() and any(path.iterdir())
    if (path.exists() and not path.is_dir()) or (old and not is_ours(path)):
        raise UserError(
            f"cannot write {path}: it exists and is not an earlier result, or holds other things "
            "too; choose another name"
        )


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an array of numbers from a `.npy` file; pickled objects are refused.

    Truth values are read as 0 and 1, which labels are often kept as.

    Raises:
        UserError: if the file is missing, or holds anything but an array of numbers that float32
            can hold.
    """
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; a .npy file was expected")
    if not Path(path).is_file():
        raise UserError(f"no such file: {path}")
    try:
        with Path(path).open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # what a damaged header may raise has no end
        reason = str(error) or type(error).__name__
        raise UserError(f"{path} is no .npy array of numbers: {reason}") from None
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path} is no .npy array of numbers but of {array.dtype}")
    if not array.ndim or not array.size:
        raise UserError(f"{path} is empty or a single number; an array was expected")
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise UserError(f"{path} has numbers that are not finite or beyond float32")
    return array

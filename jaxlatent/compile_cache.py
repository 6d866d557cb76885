"""Compiled programs kept on disk between commands; the command line switches it on, no import."""

import os
from pathlib import Path

from jaxlatent.console import say_error

_MOST = 1 << 30  # bytes
_KEPT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}


def switch_on() -> None:
    """Tells JAX, before it is imported, where to keep what it compiles.

    `JAXLATENT_CACHE` is the folder, or `off`; `$XDG_CACHE_HOME/jaxlatent` if not given, and
    `~/.cache/jaxlatent` without that. A user's own `JAX_COMPILATION_CACHE_DIR` stays as it is.
    A folder that cannot be written is told in a line, and nothing is kept.
    """
    place = os.environ.get("JAXLATENT_CACHE", "")
    if place == "off":
        return
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        _keep_all()
        return
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(place or Path(home, "jaxlatent")).absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prune(folder, _MOST)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # no home is a RuntimeError
        writable = False
    if not writable:
        where = place or "the folder of caches"
        say_error(
            "warning",
            f"{where} cannot be written, so programs are compiled anew each time; "
            "set JAXLATENT_CACHE to a folder, or to off",
        )
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    _keep_all()


def _keep_all() -> None:
    """Has JAX keep programs that are small or quickly compiled, too, unless told otherwise."""
    for name, value in _KEPT.items():
        os.environ.setdefault(name, value)


def prune(folder: Path, most: int) -> None:
    """Removes the programs that were not read for longest, until the rest has `most` bytes.

    Args:
        folder: where JAX keeps programs; other files in it are left alone.
        most: bytes that may stay.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for age, name in enumerate(["new-cache", "old-cache", "mine"]):
        ...     _ = (folder / name).write_bytes(b"12345")
        ...     os.utime(folder / name, (1e9 - age, 1e9 - age))
        >>> prune(folder, 7)
        >>> sorted(path.name for path in folder.iterdir())
        ['mine', 'new-cache']
    """
    found = [(path, path.stat()) for path in folder.glob("*-cache")]
    total = 0
    for path, stat in sorted(found, key=lambda pair: -max(pair[1].st_atime, pair[1].st_mtime)):
        total += stat.st_size
        if total > most:
            path.unlink(missing_ok=True)

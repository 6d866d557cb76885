"""Memory that a process keeps, so that large arrays need not be given to it page by page again."""

import ctypes
import os
import platform

_KEEP = {-4: 0, -1: 2**31 - 1, -2: 64 << 20, -8: 1}  # glibc's numbers of the options below
_VARIABLES = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_ARENA_MAX",
)


def keep_memory() -> bool:
    """Has glibc keep the memory of freed arrays, and returns whether it does.

    By default it returns blocks above 32 MiB to the system, which hands them out again in pages
    full of zeros: a quarter of the time of rendering on a CPU. The process no longer shrinks.
    Does nothing on other systems, and where the user has set one of glibc's own variables
    (`MALLOC_MMAP_MAX_` and its like). Call it before large arrays are made; the command line does.

    Example:
        >>> keep_memory() in (True, False)
        True
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _VARIABLES):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, value) for option, value in _KEEP.items())

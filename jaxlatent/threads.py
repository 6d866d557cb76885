"""Threads of the host, for linear algebra that is too small to be shared among them."""

import os
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

import scipy.linalg  # noqa: F401  (so that its library is among those that are limited)
from threadpoolctl import ThreadpoolController


class _OneThread:
    """Limits BLAS from when the first caller enters until the last one leaves."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._libraries = ThreadpoolController()
        self._inside = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = self._libraries.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


_ONE_THREAD = _OneThread()


def one_blas_thread() -> AbstractContextManager[None]:
    """Lets NumPy and SciPy compute on the calling thread alone, afterwards on as many as before.

    Each has a library of its own, whose threads wait for work on the cores that the other's need:
    of small matrices, on cores that are busy, most of the time is spent so. The limit is the
    process's: it ends when no thread is within it any more.

    Example:
        >>> import numpy as np
        >>> with one_blas_thread():
        ...     (np.eye(2) @ np.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return _ONE_THREAD


def cores() -> int:
    """Returns the number of cores that the process may use.

    Example:
        >>> cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

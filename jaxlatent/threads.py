"""Threads of the host, for linear algebra that is too small to be shared among them."""

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import scipy.linalg  # noqa: F401  (so that its library is among those that are limited)
from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Lets NumPy and SciPy compute on the calling thread alone, and as many as before afterwards.

    Each has a library of its own, whose threads wait for work on the cores that the other's need:
    of small matrices, on cores that are busy, most of the time is spent so.

    Example:
        >>> import numpy as np
        >>> with one_blas_thread():
        ...     (np.eye(2) @ np.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return _libraries().limit(limits=1, user_api="blas")


def cores() -> int:
    """Returns the number of cores that the process may use.

    Example:
        >>> cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""How a measurement is made: warm-up, alternating pairs, medians, and what machine it was."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import flax
import jax
import numpy as np

import jaxlatent

Work = Callable[[], Any]


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - start


def compare(case: str, items: int, ours: Work, other: Work, rounds: int) -> dict[str, Any]:
    """Times two ways to do the same work, in turn, and reports ratio and largest difference.

    Args:
        case: what is measured.
        items: images, or whatever is counted, in one call.
        ours: the library's way.
        other: what it is compared with.
        rounds: pairs that are timed, after one call of each that is not.
    """
    first, second = np.asarray(ours()), np.asarray(other())
    pairs = []
    for index in range(rounds):
        if index % 2:
            b, a = _seconds(other), _seconds(ours)
        else:
            a, b = _seconds(ours), _seconds(other)
        pairs.append((a, b))
    ratios = [b / a for a, b in pairs]
    return {
        "case": case,
        "items": items,
        "ours_s": statistics.median(a for a, _ in pairs),
        "other_s": statistics.median(b for _, b in pairs),
        "items_per_s": items / statistics.median(a for a, _ in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "error": float(np.abs(first - second.reshape(first.shape)).max()),
        "rounds": rounds,
    }


def environment() -> dict[str, Any]:
    """Returns versions, device and load: what a figure is worthless without."""
    device = jax.devices()[0]
    return {
        "jaxlatent": jaxlatent.__version__,
        "jax": jax.__version__,
        "flax": flax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
    }

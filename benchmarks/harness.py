"""How a measurement is made: parity, warm-up, rounds in turn, medians, and what machine it was."""

import hashlib
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxlatent
from benchmarks import peak
from benchmarks.process import KEPT
from jaxlatent.threads import cores

Work = Callable[[], Any]
NO_TORCH = "torch is not installed"


def _seconds(work: Work) -> tuple[float, float]:
    """Returns the wall's and the process's seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(work())
    return time.perf_counter() - wall, time.process_time() - cpu


def _array(result: Any) -> np.ndarray:
    return np.asarray(result.cpu() if hasattr(result, "cpu") else result)


def _share(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / (np.abs(ours).max() or 1.0))


def compare(
    case: str,
    items: int,
    ours: Work,
    others: Work | Mapping[str, Work],
    rounds: int,
    tolerance: float | None = None,
    difference: Callable[[np.ndarray, np.ndarray], float] | None = None,
    plain: Work | None = None,
) -> dict[str, Any]:
    """Times ways to do the same work, in turn, and reports ratios and the largest difference.

    Differences are the largest one's share of the largest number, unless given otherwise.

    On one core the ratios are of the process's seconds, which other programs change least; on more
    of the wall's. With nothing to compare with, the library's way is timed alone.

    Args:
        case: what is measured.
        items: images, or whatever is counted, in one call.
        ours: the library's way.
        others: what it is compared with, by name; the main ratio is against the fastest.
        rounds: how often each is timed, after one call that is not.
        tolerance: how large the difference may be; above it nothing is timed. `None` if results
            are not compared.
        difference: of the library's result and another's.
        plain: the library's way with a generator as it was loaded, not prepared; timed in turn with
            the others, for a ratio of its own.

    Returns:
        A record; `ratio` is `None` where the results differ or there is no other.
    """
    peers = dict(others) if isinstance(others, Mapping) else {"other": others}
    first = _array(ours())
    found = {name: _array(work()).reshape(first.shape) for name, work in peers.items()}
    differs = difference or _share
    errors = [differs(first, result) for result in found.values()]
    error = float(np.max(errors)) if errors else None
    row = {"case": case, "items": items, "error": error, "tolerance": tolerance, "rounds": rounds}
    if error is not None and tolerance is not None and not error <= tolerance:
        return row | {"ratio": None, "note": "parity failed: not timed"}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    works = {"": ours, **peers} | ({"plain": plain} if plain else {})
    if plain:
        jax.block_until_ready(plain())
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for index in range(rounds):
        for name in list(works)[:: -1 if index % 2 else 1]:
            taken[name].append(_seconds(works[name]))
    clock = 1 if cores() == 1 else 0
    ratios = {
        name: [b[clock] / a[clock] for a, b in zip(taken[""], taken[name], strict=True)]
        for name in peers
    }
    seconds = {name: statistics.median(t[clock] for t in times) for name, times in taken.items()}
    row |= {
        "ours_s": seconds[""],
        "wall_s": statistics.median(t[0] for t in taken[""]),
        "items_per_s": items / seconds[""],
        "clock": ("wall", "process")[clock],
        "load": load,
    }
    if not peers:
        return row | {"ratio": None, "note": NO_TORCH}
    best = min(peers, key=lambda name: statistics.median(ratios[name]))
    if plain:
        row["ratio_plain"] = seconds[best] / seconds["plain"]
    return row | {
        "other_s": seconds[best],
        "ratio": statistics.median(ratios[best]),
        "ratio_min": min(ratios[best]),
        "ratio_max": max(ratios[best]),
        "ratios": {name: statistics.median(values) for name, values in ratios.items()},
    }


def with_torch(make: Callable[[], Mapping[str, Work]]) -> Mapping[str, Work]:
    """Returns what a row is compared with: nothing where torch is not installed."""
    try:
        return make()
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return {}


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Any, dict[str, float]]:
    """Returns a jitted function compiled for its arguments, and the seconds that took, by stage."""
    times = [time.perf_counter()]
    traced = jax.jit(function).trace(*arguments)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    program = lowered.compile()
    times.append(time.perf_counter())
    stages = ("trace_s", "lower_s", "compile_s")
    return program, {name: times[i + 1] - times[i] for i, name in enumerate(stages)}


def environment() -> dict[str, Any]:
    """Returns versions, device and load: what a figure is worthless without."""
    device = jax.devices()[0]
    packages = ("jax", "jaxlib", "flax", "numpy", "scikit-learn", "torch")
    return {
        "jaxlatent": jaxlatent.__version__,
        "source": _source(),
        **{name: _version(name) for name in packages},
        "python": platform.python_version(),
        "machine": f"{_processor()} ({platform.machine()})",
        "cores": cores(),
        "allocator": "fixed" if all(name in os.environ for name in KEPT) else "default",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "peak_gflops": peak.gflops() if device.platform == "cpu" else None,
    }


def _source() -> str:
    """Returns a name for the code that is measured and measures, which grows between versions."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    files = [*Path(jaxlatent.__file__).parent.rglob("*.py"), here / "harness.py"]
    files += [here / "models.py", *here.glob("suites/*.py"), *here.glob("peers/*.py")]
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

"""The process that measures: its cores and its allocator, set before JAX and torch start."""

import os
import sys

# Else glibc gives every array above 32 MiB back to the system and takes it again page by page,
# on both sides, but not equally: torch's 256 px, batch 4, takes seven times as long.
KEPT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "1",
}
_MARK = "JAXLATENT_BENCHMARK"


def settle(threads: int, device: str, default_allocator: bool) -> None:
    """Starts the program again on as many cores, with an allocator that keeps what it has."""
    if _MARK in os.environ:
        return
    changes = {} if default_allocator else KEPT
    if threads:
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        os.sched_setaffinity(0, cores)
        changes = changes | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    if device == "cpu":
        changes = changes | {"JAX_PLATFORMS": "cpu"}
    environment = os.environ | changes | {_MARK: "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def threads() -> int:
    """Returns the number of cores that the process may use."""
    return len(os.sched_getaffinity(0))

"""The process that measures: its cores and its allocator, set before JAX and torch start."""

import importlib
import os
import sys
from typing import Any

import click

from jaxlatent.threads import cores

# Else glibc gives every array above 32 MiB back to the system and takes it again page by page,
# on both sides, but not equally: torch's 256 px, batch 4, takes seven times as long.
KEPT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "1",
}
# Both sides take as many threads as the process has cores, unless one of these says otherwise: the
# first two to XLA, the others to torch, to numpy and to scikit-learn.
_THREADS = ("NPROC", "PJRT_NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MARK = "JAXLATENT_BENCHMARK"


def settle(asked: int, device: str, default_allocator: bool) -> None:
    """Starts the program again on as many cores, with an allocator that keeps what it has.

    Args:
        asked: number of cores; 0 is all.
        device: "cpu" or "gpu".
        default_allocator: whether to leave the allocator as it is.

    Raises:
        click.UsageError: if there are not so many cores.
    """
    if _MARK in os.environ:
        return
    changes = {} if default_allocator else KEPT
    if asked:
        if not hasattr(os, "sched_setaffinity"):
            raise click.UsageError("this system does not let a process choose cores; no --threads")
        if asked > cores():
            raise click.UsageError(f"--threads {asked} are more than the {cores()} cores here")
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-asked:])
    changes = changes | dict.fromkeys(_THREADS, str(cores()))
    if device == "cpu":
        changes = changes | {"JAX_PLATFORMS": "cpu"}
    environment = os.environ | changes | {_MARK: "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def torch_with_threads() -> Any:
    """Returns torch, which then takes as many threads as XLA does; `None` if it is not there."""
    try:
        torch: Any = importlib.import_module("torch")
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(cores())
    return torch


def need_gpu(torch: Any) -> None:
    """Raises `click.UsageError` if JAX, or torch if it is there, sees no GPU."""
    import jax

    blind = [] if jax.default_backend() == "gpu" else ["jax"]
    if torch is not None and not torch.cuda.is_available():
        blind.append("torch")
    if blind:
        raise click.UsageError(
            f"--device gpu: no GPU is seen by {' and '.join(blind)}; install the CUDA builds"
        )

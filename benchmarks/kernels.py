"""Which of a rendering's kernels take the time, as JAX's profiler saw them."""

import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import jax

from benchmarks import models
from jaxlatent import prepare

_RUNS = 5


class Kernel(NamedTuple):
    """What one operation of the compiled program took.

    Attributes:
        name: of the operation, or of the kernel that the device ran for it.
        shape: of its result.
        seconds: for one rendering; operations that run at the same time all count in full.
        share: of the time of all operations.
    """

    name: str
    shape: str
    seconds: float
    share: float


def kernels(config: Any, n: int, precision: Any) -> list[Kernel]:
    """Renders `n` images a few times and returns the program's kernels, the slowest first."""
    generator = models.random(config)
    codes, label = models.codes_of(generator, n)
    arguments = prepare(generator, precision), codes, label
    program = jax.jit(lambda g, c, y: g.synthesize(c, label=y)).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(_RUNS):
                jax.block_until_ready(program(*arguments))
        (file,) = Path(folder).rglob("*.xplane.pb")
        taken = _taken(jax.profiler.ProfileData.from_file(str(file)))
    text = program.as_text() or ""
    shapes = dict(re.findall(r"^\s*(?:ROOT )?%?(\S+) = (\w+\[[\d,]*\])", text, re.MULTILINE))
    total = sum(taken.values())
    found = [
        Kernel(kernel, shapes.get(operation, ""), seconds / _RUNS, seconds / total)
        for (operation, kernel), seconds in taken.items()
    ]
    return sorted(found, key=lambda kernel: -kernel.seconds)


def _taken(profile: Any) -> dict[tuple[str, str], float]:
    """Returns the seconds of each operation and kernel; those of the device, if it is no CPU."""
    host: dict[tuple[str, str], float] = defaultdict(float)
    device: dict[tuple[str, str], float] = defaultdict(float)
    for plane in profile.planes:
        for line in plane.lines:
            for event in line.events:
                operation = dict(event.stats).get("hlo_op")
                if operation is not None:
                    taken = device if plane.name.startswith("/device:") else host
                    taken[str(operation), event.name] += event.duration_ns / 1e9
    return device or host

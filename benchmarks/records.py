"""Results as JSON: written after every case, so that an interrupted run goes on where it was."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import environment
from benchmarks.suites import Case
from jaxlatent.files import atomic_file

_VARY = ("load", "peak_gflops")  # from one run to the next on the same machine


def measured(
    cases: Sequence[Case], out: Path | None, original: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yields the record of each case; those that a file has are not measured again.

    Args:
        cases: to measure.
        out: the file, if there is to be one.
        original: what of the user's own is compared with, too.

    Raises:
        click.UsageError: if the file is of another machine or other versions.
    """
    machine, rows = environment() | {"original": original}, list[dict[str, Any]]()
    if out is not None and out.exists():
        begun = json.loads(out.read_text())
        told = [
            f"{name} was {begun['environment'].get(name)}, is {value}"
            for name, value in machine.items()
            if name not in _VARY and begun["environment"].get(name) != value
        ]
        if told:
            raise click.UsageError(f"{out} is of another run: {'; '.join(told)}; name another file")
        machine, rows = begun["environment"], begun["results"]
    known = {row["case"] for row in rows}
    yield from rows
    for case in cases:
        if case.name in known:
            continue
        rows.append({"suite": case.suite} | case.run())
        if out is not None:
            with atomic_file(out) as temporary:
                text = json.dumps({"environment": machine, "results": rows}, indent=1)
                temporary.write_text(text + "\n")
        yield rows[-1]

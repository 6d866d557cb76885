"""Results as JSON: written after every case, so that an interrupted run goes on where it was."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import environment
from benchmarks.page import NAMED
from benchmarks.suites import Case
from jaxlatent.files import atomic_file

_VARY = ("load", "peak_gflops")  # from one run to the next on the same machine


def read(path: Path) -> dict[str, Any]:
    """Returns the results in a file.

    Raises:
        click.UsageError: if these are not what `measured` writes.
    """
    try:
        record = json.loads(path.read_text())
        rows = record["results"]
        if not all({"suite", "case", "ratio"} <= row.keys() for row in rows):
            raise KeyError("suite, case or ratio of a row")
        missing = NAMED - record["environment"].keys()
        if missing:
            raise KeyError(", ".join(sorted(missing)))
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise click.UsageError(
            f"{path} holds no results of `python -m benchmarks run` ({error}); name another file"
        ) from None
    return dict(record)


def measured(
    cases: Sequence[Case], out: Path | None, original: str | None = None, command: str = ""
) -> Iterator[dict[str, Any]]:
    """Yields the record of each case; those that a file has are not measured again.

    A case that cannot be measured, as for want of memory, is recorded with a note that says why,
    and tried again by the next run.

    Args:
        cases: to measure.
        out: the file, if there is to be one.
        original: what of the user's own is compared with, too.
        command: that measures them, for the file.

    Raises:
        click.UsageError: if the file cannot be written, or is of another machine or versions.
    """
    machine = environment() | {"original": original}
    rows, commands = list[dict[str, Any]](), list[str]()
    if out is not None and out.exists():
        begun = read(out)
        told = [
            f"{name} was {begun['environment'].get(name)}, is {value}"
            for name, value in machine.items()
            if name not in _VARY and begun["environment"].get(name) != value
        ]
        if told:
            raise click.UsageError(f"{out} is of another run: {'; '.join(told)}; name another file")
        machine, commands = begun["environment"], begun.get("commands", [])
        rows = begun["results"]
    known = {row["case"] for row in rows if "failed" not in row}
    if known:
        click.echo(f"{out} has {len(known)} cases, which are not measured again")
    record = {
        "environment": machine,
        "commands": list(dict.fromkeys([*commands, command])),
        "results": rows,
    }
    for case in cases:
        if case.name in known:
            continue
        try:
            row = case.run()
        except Exception as error:  # so that the others are measured
            reason = (str(error).splitlines() or [""])[0]
            note = f"not measured: {type(error).__name__}: {reason}"[:200]
            row = {"case": case.name, "error": None, "ratio": None, "failed": True, "note": note}
        rows[:] = [earlier for earlier in rows if earlier["case"] != case.name]
        rows.append({"suite": case.suite} | row)
        if out is not None:
            with atomic_file(out) as temporary:
                temporary.write_text(json.dumps(record, indent=1) + "\n")
        yield rows[-1]

"""`python -m benchmarks.parity`: compares every golden and writes the table docs/parity.md."""

import sys
from pathlib import Path

import click
import jax

from benchmarks import parity
from benchmarks.harness import environment
from benchmarks.parity.compare import Check
from jaxlatent.files import atomic_file

_OUT = Path(__file__).parents[2] / "docs" / "parity.md"
_INTRODUCTION = """# Parity with the original code

Written by `python -m benchmarks.parity`, not by hand. Each network is a small one of the original
code with random weights, saved in its own checkpoint format, converted as `jaxlatent convert` does
and run here. Errors are the largest absolute difference in an array, relative to the array's
largest absolute value; arrays of one kind (all styles, all features) share a row.
Discriminators are not ported; their outputs (`d_logits`) are not compared.
"""


def _kind(array: str) -> str:
    """Returns the name that arrays of one kind share: style/b8.conv0 -> style/*."""
    if "/" in array:
        return f"{array.partition('/')[0]}/*"
    return "gap_*" if array.startswith("gap_") else array


def _worst(checks: list[Check]) -> dict[str, Check]:
    rows: dict[str, Check] = {}
    for check in checks:
        kind = _kind(check.array)
        if kind not in rows or check.error > rows[kind].error:
            rows[kind] = check
    return rows


def _row(name: str, kind: str, check: Check) -> str:
    passed = "" if check.error <= check.tolerance else " **exceeded**"
    return f"| {name} | {kind} | {check.error:.1e} | {check.tolerance:.0e}{passed} | {check.note} |"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=_OUT, help="File to write.")
@click.option("--only", default="", help="Only goldens whose names begin so; writes nothing.")
def main(out: Path, only: str) -> None:
    """Compare every golden with the original code's outputs; fails if one is out of tolerance."""
    table, failed, arrays, noted = [], [], 0, 0
    names = [name for name in parity.names() if name.startswith(only)]
    for name in names:
        checks = parity.checks(name)
        arrays += len(checks)
        noted += sum(check.note != "" for check in checks)
        failed += [f"{name}/{c.array}" for c in checks if not c.error <= c.tolerance]
        rows = [_row(name, kind, check) for kind, check in _worst(checks).items()]
        click.echo("\n".join(rows))
        table += rows
        jax.clear_caches()
    machine = ", ".join(f"{k} {v}" for k, v in environment().items() if k not in ("load", "cores"))
    summary = (
        f"{len(names)} networks, {arrays} arrays, {len(failed)} beyond the tolerance; "
        f"{noted} gradients agree only as their notes say. {machine}."
    )
    click.echo(summary)
    if not only:
        header = "| golden | array | error | tolerance | note |\n|---|---|---|---|---|"
        with atomic_file(out) as temporary:
            temporary.write_text("\n".join([_INTRODUCTION, summary, "", header, *table, ""]))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

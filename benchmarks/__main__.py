"""`python -m benchmarks run`: measures, prints a table, writes JSON."""

import json
import sys
from pathlib import Path

import click

from benchmarks.cases import cases
from benchmarks.harness import environment
from jaxlatent.files import atomic_file


@click.group()
def main() -> None:
    """Measure jaxlatent on this machine."""


@main.command()
@click.option("--quick", is_flag=True, help="The smallest sizes only.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def run(quick: bool, out: Path | None) -> None:
    """Run the benchmarks; a ratio above 1 means that the library is faster."""
    machine, rows = environment(), []
    click.echo(" ".join(f"{k}={v}" for k, v in machine.items()), err=True)
    click.echo(f"{'case':<58} {'items/s':>9} {'ratio':>7} {'min':>6} {'max':>6} {'error':>9}")
    for row in cases(quick):
        rows.append(row)
        click.echo(
            f"{row['case']:<58} {row['items_per_s']:>9.1f} {row['ratio']:>7.2f} "
            f"{row['ratio_min']:>6.2f} {row['ratio_max']:>6.2f} {row['error']:>9.1e}"
        )
    if out is not None:
        with atomic_file(out) as temporary:
            temporary.write_text(
                json.dumps({"environment": machine, "results": rows}, indent=2) + "\n"
            )


if __name__ == "__main__":
    sys.exit(main())

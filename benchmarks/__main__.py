"""`python -m benchmarks run` measures this machine; `compare`, `table` and `plot` read results."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.process import need_gpu, settle, torch_with_threads
from benchmarks.suites import SUITES
from jaxlatent.errors import UserError


class _Group(click.Group):
    """Tells a user's mistake in a line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise click.UsageError(str(error)) from None


@click.group(cls=_Group)
def main() -> None:
    """Measure jaxlatent on this machine, beside the originals' algorithms."""


_READ = click.Path(exists=True, dir_okay=False, path_type=Path)
_WRITTEN = click.Path(dir_okay=False, path_type=Path)


@main.command()
@click.option("--suite", type=click.Choice([*SUITES, "all"]), default="all", show_default=True)
@click.option("--quick", is_flag=True, help="The smallest sizes only.")
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option(
    "--threads", type=click.IntRange(min=0), default=0, help="Cores for both sides; 0 is all."
)
@click.option("--only", default="", help="Cases whose name has this in it.")
@click.option("--pca-samples", type=click.IntRange(min=1000), default=100_000, show_default=True)
@click.option("--svm-samples", type=click.IntRange(min=100), default=4000, show_default=True)
@click.option("--default-allocator", is_flag=True, help="Do not have glibc keep freed memory.")
@click.option(
    "--peer-path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of NVIDIA's stylegan2-ada-pytorch or stylegan3, to time beside StyleGAN2.",
)
@click.option("--out", type=_WRITTEN, help="JSON file; goes on with one begun.")
@click.pass_context
def run(
    ctx: click.Context,
    suite: str,
    quick: bool,
    device: str,
    threads: int,
    only: str,
    pca_samples: int,
    svm_samples: int,
    default_allocator: bool,
    peer_path: Path | None,
    out: Path | None,
) -> None:
    """Run the benchmarks; a ratio above 1 means that the library is faster."""
    if out is not None and not out.parent.is_dir():
        raise click.UsageError(f"cannot write {out}: there is no folder {out.parent}")
    settle(threads, device, default_allocator)
    from benchmarks.peers import original
    from benchmarks.records import measured
    from benchmarks.suites import Size, find, invert, sweep, synth

    torch = torch_with_threads()
    if device == "gpu":
        need_gpu(torch)
    checkout = original.load(peer_path) if peer_path else None
    size = Size(quick, device, pca_samples, svm_samples, checkout)
    modules = {"synth": synth, "sweep": sweep, "find": find, "invert": invert}
    chosen = SUITES if suite == "all" else (suite,)
    cases = [case for name in chosen for case in modules[name].cases(size) if only in case.name]
    if not cases:
        raise click.UsageError(f"no case of {', '.join(chosen)} has {only!r} in its name")
    click.echo(f"{'case':<62} {'items/s':>9} {'ratio':>7} {'min':>6} {'max':>6} {'error':>8}")
    failed = False
    for row in measured(cases, out, checkout.__name__ if checkout else None, _command(ctx)):
        click.echo(_line(row))
        failed |= row.get("failed", False)
    if failed:
        raise click.ClickException("some cases were not measured; run again to try these only")


def _command(ctx: click.Context) -> str:
    """Returns the command line, but for where its results go."""
    words = ["python -m benchmarks run"]
    for option in ctx.command.params:
        value = ctx.params[option.name or ""]
        if option.name != "out" and value not in (None, option.get_default(ctx)):
            words.append(option.opts[0])
            words += [] if value is True else [shlex.quote(str(value))]
    return " ".join(words)


def _line(row: dict[str, Any]) -> str:
    speed = f"{row['items_per_s']:>9.1f}" if "items_per_s" in row else " " * 9
    if row["ratio"] is None:
        return f"{row['case']:<62} {speed} {row['note']}"
    numbers = f"{row['ratio']:>7.2f} {row['ratio_min']:>6.2f} {row['ratio_max']:>6.2f}"
    return f"{row['case']:<62} {speed} {numbers} {row['error']:>8.1e}"


def _config(model: str) -> Any:
    """Returns the config of a model by its name."""
    from benchmarks import models

    family, _, pixels = model.rpartition("-")
    makes = {"stylegan2": models.stylegan2, "pggan": models.pggan}
    if model == "biggan-deep-128":
        return models.biggan_deep_128(128)
    if family in makes and pixels.isdecimal() and int(pixels) in models.SIDES:
        return makes[family](int(pixels))
    known = [f"{name}-{side}" for name in makes for side in models.SIDES]
    raise click.UsageError(f"no model {model!r}; there are {', '.join(known)}, biggan-deep-128")


@main.command()
@click.argument("model")
def layers(model: str) -> None:
    """Print what each layer of MODEL takes (stylegan2-256, pggan-1024, biggan-deep-128, ...)."""
    from benchmarks import roofline

    click.echo(roofline.table(_config(model)))


@main.command()
@click.argument("model")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--precision", type=click.Choice(["exact", "fast"]), default="exact")
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True)
def kernels(model: str, batch: int, precision: str, top: int) -> None:
    """Render with MODEL and print the kernels that take most of the time."""
    config = _config(model)
    from benchmarks.kernels import kernels as profiled

    found = profiled(config, batch, precision)
    click.echo(f"{model}, batch {batch}, {precision}: the slowest {top} of {len(found)} kernels")
    click.echo(f"{'ms':>9} {'share':>6}  kernel, result")
    for kernel in found[:top]:
        named = f"{kernel.name} {kernel.shape}".rstrip()
        click.echo(f"{1e3 * kernel.seconds:>9.3f} {kernel.share:>6.1%}  {named}")


@main.command()
@click.argument("before", type=_READ)
@click.argument("after", type=_READ)
def compare(before: Path, after: Path) -> None:
    """Print by how much each case became faster from BEFORE to AFTER."""
    from benchmarks.records import read

    records = [read(path) for path in (before, after)]
    old, new = ({row["case"]: row for row in record["results"]} for record in records)
    for name in ("device", "cores", "allocator"):
        values = [record["environment"].get(name) for record in records]
        if values[0] != values[1]:
            click.echo(f"not alike: {name} was {values[0]}, is {values[1]}", err=True)
    for name in old | new:
        pair = [rows.get(name, {}).get("ours_s") for rows in (old, new)]
        said = f"{pair[0] / pair[1]:.2f}" if all(pair) else "in one file only"
        click.echo(f"{name:<62} {said}")


@main.command()
@click.argument("files", nargs=-1, required=True, type=_READ)
def table(files: tuple[Path, ...]) -> None:
    """Print the page of results in Markdown."""
    from benchmarks.page import page
    from benchmarks.records import read

    click.echo(page([read(path) for path in files]), nl=False)


@main.command()
@click.argument("files", nargs=-1, required=True, type=_READ)
@click.option("--out", required=True, type=_WRITTEN, help="PNG or SVG file to write.")
def plot(files: tuple[Path, ...], out: Path) -> None:
    """Draw the ratios (needs matplotlib)."""
    from benchmarks.page import by_machine, by_suite, place
    from benchmarks.plots import plot as draw
    from benchmarks.records import read

    rows = [
        row | {"suite": f"{suite}: {place(same[0]['environment'])}"}
        for same in by_machine([read(path) for path in files])
        for suite, found in by_suite(same).items()
        for row in found
    ]
    draw(rows, out)


if __name__ == "__main__":
    sys.exit(main())

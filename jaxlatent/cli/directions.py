"""The commands about directions on disk: show, compare, import."""

import click

from jaxlatent import console
from jaxlatent.cli.options import examples
from jaxlatent.cli.samples import OUT
from jaxlatent.errors import printable
from jaxlatent.files import atomic_file


@click.group(invoke_without_command=True)
@click.pass_context
def directions(context: click.Context) -> None:
    """Show, compare and import directions."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@directions.command(epilog=examples("jaxlatent directions show pose.safetensors"))
@click.argument("file")
def show(file: str) -> None:
    """Say what FILE holds: names, scores, units, where directions were found."""
    from jaxlatent.directions import Directions

    found = Directions.load(file)
    k, m, d = found.vectors.shape
    rows = {
        "method": found.method or "unknown",
        "space": found.space or "not bound to a generator",
        "shape": f"{k} directions of [{m}, {d}]",
        "layers": ", ".join(map(str, found.layers)) or "all",
        "stage": f"{found.stage} truncation",
        "sign": found.sign_anchor or "unknown",
        "generator": found.fingerprint or "unknown",
    }
    rows |= {f"setting {name}": str(value) for name, value in found.parameters.items()}
    width = max(map(len, rows))
    for key, value in rows.items():
        click.echo(f"{key:<{width}}  {printable(value)}")
    scores = found.scores.reshape(k, -1).sum(axis=1)
    for i, name in enumerate(found.names):
        unit = f"score {float(scores[i]):.4g}, unit {float(found.scale[i]):.4g}"
        click.echo(f"{i:>4}  {printable(name)}: {unit}")


@directions.command(epilog=examples("jaxlatent directions compare a.safetensors b.safetensors"))
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Match each direction of FIRST with one of SECOND, by their cosines."""
    from jaxlatent import find
    from jaxlatent.directions import Directions

    a, b = Directions.load(first), Directions.load(second)
    matches = find.match(a, b)
    for (one, other), cosine in zip(matches.names, matches.cosines, strict=True):
        click.echo(f"{float(cosine):+.3f}  {printable(one)}  ~  {printable(other)}")
    angles = find.subspace_angles(a, b)
    click.echo(f"angles between the spans: {', '.join(f'{float(x):.3g}' for x in angles)} rad")


@directions.command(
    "import",
    epilog=examples("jaxlatent directions import pggan_smile.npy --space z -o smile.safetensors"),
)
@click.argument("file")
@click.option(
    "--space", type=click.Choice(["z", "z+", "w", "w+"]), help="Where they live, if FILE is silent."
)
@OUT
def import_file(file: str, space: str | None, out: str) -> None:
    """Turn directions of another project into a file of ours; nothing in FILE is executed.

    Read are those of InterFaceGAN, HiGAN, idinvert, encoder4editing, PTI, ReStyle and GANSpace.
    """
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from converters import import_directions

        found = import_directions(file, space or "")
        found.save(temporary)
    click.echo(f"{out}: {len(found)} directions in {found.space or 'no space yet'}")

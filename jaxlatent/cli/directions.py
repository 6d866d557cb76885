"""The commands about directions on disk: show, compare, condition, import."""

from typing import TYPE_CHECKING

import click

from jaxlatent import console
from jaxlatent.cli.options import OUT_DIRECTIONS, examples
from jaxlatent.errors import UserError, printable
from jaxlatent.files import atomic_file

if TYPE_CHECKING:
    from jaxlatent.directions import Directions


@click.group(invoke_without_command=True)
@click.pass_context
def directions(context: click.Context) -> None:
    """Show, compare, condition and import directions."""
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
        "shape": f"{console.counted(k, 'direction')} of [{m}, {d}]",
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
    ranked = found.scores.any()  # a method that ranks by nothing leaves them 0
    for i, name in enumerate(found.names):
        score = f"score {float(scores[i]):.4g}, " if ranked else ""
        click.echo(f"{i:>4}  {printable(name)}: {score}unit {float(found.scale[i]):.4g}")


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
    epilog=examples(
        "jaxlatent directions condition a.safetensors --name age --on sex,smile -o b.safetensors",
        "jaxlatent directions condition age.safetensors --on smile.safetensors -o b.safetensors",
    )
)
@click.argument("file")
@click.option("--name", help="The direction to change; all that are no conditions if not given.")
@click.option(
    "--on", "conditions", required=True, metavar="A,B|OTHER.safetensors",
    help="Directions of FILE, or of another file, that are to stay where they are.",
)  # fmt: skip
@OUT_DIRECTIONS
def condition(file: str, name: str | None, conditions: str, out: str) -> None:
    """Take from directions what they share with others (InterFaceGAN, TPAMI 2020)."""
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from jaxlatent import find
        from jaxlatent.directions import Directions

        found = Directions.load(file)
        if conditions.endswith(".safetensors"):
            given, rest = Directions.load(conditions), [*range(len(found))]
        else:
            whole = conditions in found.names  # a name that holds commas
            names = [conditions] if whole else conditions.split(",")
            numbers = [found.index(part) for part in names]
            given, rest = found[numbers], [i for i in range(len(found)) if i not in numbers]
        if name is None and not rest:
            raise UserError(f"all directions of {file} are conditions; none is left to change")
        result = find.condition(found[rest if name is None else found.index(name)], given)
        result.save(temporary)
    click.echo(_written(out, result))
    for new, left in zip(result.names, result.parameters["left"].values(), strict=True):
        click.echo(f"  {printable(new)}: cosine {left:.3f} to what it was")


@directions.command(
    "import",
    epilog=examples("jaxlatent directions import pggan_smile.npy --space z -o smile.safetensors"),
)
@click.argument("file")
@click.option(
    "--space", type=click.Choice(["z", "z+", "w", "w+"]), help="Where they live, if FILE is silent."
)
@OUT_DIRECTIONS
def import_file(file: str, space: str | None, out: str) -> None:
    """Turn directions of another project into a file of ours; nothing in FILE is executed.

    Read are those of InterFaceGAN, HiGAN, idinvert, encoder4editing, PTI, ReStyle and GANSpace.
    OUT holds float32, whatever FILE holds.
    """
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from converters import import_directions

        found = import_directions(file, space or "")
        found.save(temporary)
    click.echo(_written(out, found))


def _written(out: str, found: "Directions") -> str:
    return f"{out}: {console.counted(len(found), 'direction')} in {found.space or 'no space yet'}"

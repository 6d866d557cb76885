"""The commands that find directions."""

import click

from jaxlatent import arguments, console
from jaxlatent.cli.options import MODEL, examples, loaded
from jaxlatent.files import atomic_file


@click.group(invoke_without_command=True)
@click.pass_context
def find(context: click.Context) -> None:
    """Find semantic directions."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@find.command(
    epilog=examples(
        "jaxlatent find sefa ffhq -k 10 -o all.safetensors",
        "jaxlatent find sefa ffhq -k 5 --layers 0-1 -o pose.safetensors",
    )
)
@MODEL
@click.option("-k", type=int, default=10, show_default=True, help="Number of directions.")
@click.option("--layers", metavar="0-3", help="Layers to factorise; all if not given.")
@click.option("--per-layer", is_flag=True, help="Solve for each layer by itself.")
@click.option("-o", "--out", metavar="OUT.safetensors", required=True, help="File to write.")
def sefa(model: str, k: int, layers: str | None, per_layer: bool, out: str) -> None:
    """Closed-form factorisation of the weights (SeFa, CVPR 2021)."""
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from jaxlatent import find

        generator = loaded(model)
        chosen = arguments.layers(layers, generator)
        directions = find.sefa(generator.affines(chosen), k, per_layer).bind(generator, chosen)
        directions.save(temporary)
    shares = [float(s) for s in directions.scores.reshape(k, -1).sum(axis=1)]
    click.echo(f"{out}: {k} directions in {directions.space}")
    click.echo(f"eigenvalues: {', '.join(f'{s:.4g}' for s in shares)}")


@find.command(epilog=examples("jaxlatent find infogan mnist -o codes.safetensors"))
@MODEL
@click.option("-o", "--out", metavar="OUT.safetensors", required=True, help="File to write.")
def infogan(model: str, out: str) -> None:
    """The named codes of an InfoGAN (NeurIPS 2016), each as a direction."""
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from jaxlatent import find

        directions = find.infogan_codes(loaded(model))
        directions.save(temporary)
    click.echo(f"{out}: {len(directions.names)} directions in {directions.space}")
    for number, name in enumerate(directions.names):
        click.echo(f"{number:>3}  {name}")

"""The commands that find directions."""

from typing import Any

import click

from jaxlatent import arguments, console
from jaxlatent.cli.options import MODEL, examples, loaded
from jaxlatent.cli.samples import CLASS, OUT, SAMPLES, SPACE, K, check, drawn, scored, with_scores
from jaxlatent.files import atomic_file


@click.group(invoke_without_command=True)
@click.pass_context
def find(context: click.Context) -> None:
    """Find semantic directions."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _tell(out: str, directions: Any) -> None:
    click.echo(f"{out}: {len(directions)} directions in {directions.space}")
    for number, name in enumerate(directions.names):
        click.echo(f"{number:>3}  {name}")


@find.command(
    epilog=examples(
        "jaxlatent find sefa ffhq -k 10 -o all.safetensors",
        "jaxlatent find sefa ffhq -k 5 --layers 0-1 -o pose.safetensors",
    )
)
@MODEL
@K
@click.option("--layers", metavar="0-3", help="Layers to factorise; all if not given.")
@click.option("--per-layer", is_flag=True, help="Solve for each layer by itself.")
@OUT
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
@OUT
def infogan(model: str, out: str) -> None:
    """The named codes of an InfoGAN (NeurIPS 2016), each as a direction."""
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from jaxlatent import find

        directions = find.infogan_codes(loaded(model))
        directions.save(temporary)
    _tell(out, directions)


@find.command(
    epilog=examples(
        "jaxlatent find boundary ffhq --scores smile.npy --names smile -o smile.safetensors",
        "jaxlatent find boundary faces --attribute brightness -n 5000 -o light.safetensors",
    )
)
@MODEL
@scored
@SAMPLES
@SPACE
@CLASS
@click.option(
    "--ratio", type=float, default=0.02, show_default=True,
    help="Share of the samples that are learned from at each end, or their number if above 1.",
)  # fmt: skip
@OUT
def boundary(
    model: str,
    attributes: tuple[str, ...],
    scores: str | None,
    names: str | None,
    n: int | None,
    space: str | None,
    label: int | None,
    ratio: float,
    out: str,
) -> None:
    """Planes between high and low scores (InterFaceGAN, CVPR 2020)."""
    console.checked_suffix(out, ".safetensors")
    check(attributes, scores, names)
    with atomic_file(out) as temporary:
        import jax

        from jaxlatent import find

        generator = loaded(model)
        codes, values, named, where = with_scores(
            generator, n, space, label, attributes, scores, names
        )
        found = find.boundary(codes, values, jax.random.key(1), named, ratio)
        directions = found.bind(generator, space=where)
        directions.save(temporary)
    click.echo(f"{out}: {len(directions)} directions in {directions.space}")
    for name in directions.names:
        accuracy = directions.parameters["validation_accuracy"][name]
        told = "too few samples to test" if accuracy is None else f"{accuracy:.1%} of unseen ends"
        click.echo(f"  {name}: {told}, {directions.parameters['whole_accuracy'][name]:.1%} of all")


@find.command(
    epilog=examples("jaxlatent find linear faces --attribute warmth -n 5000 -o warm.safetensors")
)
@MODEL
@scored
@SAMPLES
@SPACE
@CLASS
@click.option(
    "--strength", type=float, default=0.0, show_default=True,
    help="Weight of the penalty that makes directions orthogonal.",
)  # fmt: skip
@OUT
def linear(
    model: str,
    attributes: tuple[str, ...],
    scores: str | None,
    names: str | None,
    n: int | None,
    space: str | None,
    label: int | None,
    strength: float,
    out: str,
) -> None:
    """A linear map to the scores, its rows orthogonal on request (Pham et al.)."""
    console.checked_suffix(out, ".safetensors")
    check(attributes, scores, names)
    with atomic_file(out) as temporary:
        from jaxlatent import find

        generator = loaded(model)
        codes, values, named, where = with_scores(
            generator, n, space, label, attributes, scores, names
        )
        found = find.linear_map(codes, values, strength, names=named)
        directions = found.bind(generator, space=where)
        directions.save(temporary)
    click.echo(f"{out}: {len(directions)} directions in {directions.space}")
    for name, share in zip(directions.names, directions.scores, strict=True):
        click.echo(f"  {name}: {float(share):.1%} of its variance")
    click.echo(f"mean cosine between directions: {directions.parameters['similarity']:.3f}")


@find.command(epilog=examples("jaxlatent find ganspace ffhq -k 20 -n 100000 -o pca.safetensors"))
@MODEL
@K
@SAMPLES
@SPACE
@CLASS
@click.option("--block", type=int, help="Components of this block's activations, not of codes.")
@OUT
def ganspace(
    model: str,
    k: int,
    n: int | None,
    space: str | None,
    label: int | None,
    block: int | None,
    out: str,
) -> None:
    """Principal components of codes or activations (GANSpace, NeurIPS 2020)."""
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        import jax

        from jaxlatent import find

        generator = loaded(model)
        if block is None:
            codes, where = drawn(generator, n, space, label)
            directions = find.ganspace(codes, k).bind(generator, space=where)
        else:
            directions = find.ganspace_activations(
                generator, jax.random.key(0), n or 10_000, k, block=block, space=space, label=label
            )
        directions.save(temporary)
    shares = directions.parameters["variance_ratio"]
    click.echo(f"{out}: {k} directions in {directions.space}")
    click.echo(f"shares of the variance: {', '.join(f'{float(s):.3g}' for s in shares)}")

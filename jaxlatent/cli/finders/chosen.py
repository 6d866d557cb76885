"""Finders that look at samples which the user chooses by their seeds."""

from typing import TYPE_CHECKING

import click

from jaxlatent import arguments
from jaxlatent.cli.finders.command import MOVED, Arguments, K, each, finder, in_a_row, together
from jaxlatent.cli.finders.samples import CHOSEN, Samples, samples, seeds
from jaxlatent.cli.options import finite
from jaxlatent.errors import UserError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxlatent.directions import Directions
    from jaxlatent.find.jacobian import Region
    from jaxlatent.generators import Generator

REGION = click.option(
    "--region", required=True, metavar="TOP:BOTTOM,LEFT:RIGHT|MASK.png",
    callback=lambda _context, _parameter, value: arguments.region(value),
    help="Pixels that shall change, ends exclusive; or an image that is white there.",
)  # fmt: skip


def _sides(positive: list[int], negative: list[int]) -> tuple[list[int], list[int]]:
    both = sorted({*positive} & {*negative})
    if both:
        raise UserError(f"positive and negative share the seeds {listed(list(map(str, both)))}")
    return list(dict.fromkeys(positive)), list(dict.fromkeys(negative))


def _a_number(
    context: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    return value if value in (None, float("inf")) else finite(context, parameter, value)


def _called(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise UserError(f"{parameter.opts[0]} is empty")
    return value


def _distance(directions: "Directions") -> "Iterable[str]":
    counts = directions.parameters
    yield (
        f"means of {counts['positive']} and {counts['negative']} samples, "
        f"{float(directions.scale[0]):.3g} apart along it"
    )


@finder(
    "jaxlatent generate ffhq --seeds 0-63 -o faces.png",
    "jaxlatent find few-shot ffhq --positive 3,7-9 --negative 1,2 -o smile.safetensors",
    tell=_distance,
)
@together(
    "sides",
    _sides,
    positive=seeds("positive", "Samples with the attribute.", required=True),
    negative=seeds("negative", "Samples without it.", required=True),
)
@click.option(
    "--name", default="few shot", show_default=True, callback=_called,
    help="What to call the direction.",
)  # fmt: skip
@click.option(
    "--plain", is_flag=True, help="The means' difference and no more (Radford et al., ICLR 2016)."
)
@samples()
def few_shot(
    generator: "Generator",
    sides: tuple[list[int], list[int]],
    name: str,
    plain: bool,
    samples: Samples,
) -> "Directions":
    """From samples without an attribute to those with (JASA 1989).

    A linear discriminant with a ridge that fits few examples; the covariance that it needs is that
    of the first -n samples.
    """
    from jaxlatent import find

    high, low = (samples.latents(generator, chosen) for chosen in sides)
    if plain:
        found = find.vector_arithmetic(high, low, name)
    else:
        found = find.few_shot(high, low, samples.latents(generator), name)
    return found.bind(generator, space=samples.where(generator))


@finder(
    "jaxlatent find local faces --seeds 7 -k 5 -o local.safetensors",
    tell=in_a_row("mean squared changes of a pixel"),
)
@K
@CHOSEN
@MOVED
def local(generator: "Generator", k: int, chosen: Arguments, moved: Arguments) -> "Directions":
    """What changes the chosen images most (Ramesh et al., 2018)."""
    from jaxlatent import find

    return find.local_directions(generator, k=k, **chosen(generator), **moved(generator))


@finder(
    "jaxlatent find resefa faces --seeds 0-3 --region 30:40,18:46 -k 3 -o mouth.safetensors",
    "jaxlatent find resefa faces --region mouth.png -k 3 -o mouth.safetensors",
    tell=each("  {name}: changes the region {score:.3g} times as much as the rest"),
)
@K
@REGION
@CHOSEN
@MOVED
@click.option(
    "--ridge", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True,
    callback=finite, help="Keeps directions out that change nothing at all.",
)  # fmt: skip
def resefa(
    generator: "Generator",
    k: int,
    region: "Region",
    chosen: Arguments,
    moved: Arguments,
    ridge: float,
) -> "Directions":
    """What changes a region much and the rest little (ICML 2022)."""
    from jaxlatent import find

    return find.resefa(
        generator, region=region, k=k, ridge=ridge, **chosen(generator), **moved(generator)
    )


def _within(directions: "Directions") -> "Iterable[str]":
    yield from in_a_row("mean squared changes of the region's pixels")(directions)
    if len(directions) < directions.parameters["k"]:
        yield (
            "no others move the region and leave the rest: give a larger --tolerance or --sparsity,"
            " or take resefa"
        )


@finder(
    "jaxlatent find lowrankgan faces --seeds 7 --region 30:40,18:46 -k 3 -o mouth.safetensors",
    tell=_within,
)
@K
@REGION
@CHOSEN
@MOVED
@click.option(
    "--sparsity", type=click.FloatRange(0, min_open=True), show_default="1/sqrt(codes' width)",
    callback=_a_number, help="Weight of the sparse part (in the paper 1/60); inf for none.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=1e-3,
    show_default=True, callback=finite,
    help="Share of the largest eigenvalue that counts as nothing.",
)  # fmt: skip
def lowrankgan(
    generator: "Generator",
    k: int,
    region: "Region",
    chosen: Arguments,
    moved: Arguments,
    sparsity: float | None,
    tolerance: float,
) -> "Directions":
    """What changes a region and leaves the rest (NeurIPS 2021)."""
    from jaxlatent import find

    return find.lowrankgan(
        generator,
        region=region,
        k=k,
        sparsity=sparsity,
        tolerance=tolerance,
        **chosen(generator),
        **moved(generator),
    )

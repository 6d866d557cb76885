"""Finders that read the weights and nothing else."""

from typing import TYPE_CHECKING

import click

from jaxlatent import arguments
from jaxlatent.cli.finders.command import K, finder, in_a_row, numbers

if TYPE_CHECKING:
    from jaxlatent.directions import Directions
    from jaxlatent.generators import Generator


@finder(
    "jaxlatent find sefa ffhq -k 10 -o all.safetensors",
    "jaxlatent find sefa ffhq -k 5 --layers 0-1 -o pose.safetensors",
    tell=in_a_row("eigenvalues"),
)
@K
@click.option(
    "--layers", metavar="0-3", callback=numbers, help="Layers to factorise; all if not given."
)
@click.option("--per-layer", is_flag=True, help="Solve for each layer by itself.")
def sefa(generator: "Generator", k: int, layers: str | None, per_layer: bool) -> "Directions":
    """Closed-form factorisation of the weights (SeFa, CVPR 2021)."""
    from jaxlatent import find

    chosen = arguments.layers(layers, generator)
    return find.sefa(generator.affines(chosen), k, per_layer).bind(generator, chosen)


@finder("jaxlatent find infogan mnist -o codes.safetensors")
def infogan(generator: "Generator") -> "Directions":
    """The named codes of an InfoGAN, as directions (NeurIPS 2016)."""
    from jaxlatent import find

    return find.infogan_codes(generator)

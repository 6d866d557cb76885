"""Finders that learn from samples without labels."""

from typing import TYPE_CHECKING, Any, Literal

import click

from jaxlatent.cli.finders.command import (
    MOVED,
    SEED,
    Arguments,
    K,
    Train,
    finder,
    in_a_row,
    key_of,
    several,
    together,
    trained,
)
from jaxlatent.cli.finders.samples import Samples, samples
from jaxlatent.cli.options import finite
from jaxlatent.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxlatent.directions import Directions
    from jaxlatent.generators import Generator

MAX_ITER = click.option(
    "--max-iter", type=click.IntRange(1), default=1000, show_default=True, help="Most iterations."
)


def _shares(directions: "Directions") -> "Iterable[str]":
    shares = directions.parameters["variance_ratio"]
    return [f"shares of the variance: {', '.join(f'{float(s):.3g}' for s in shares)}"]


def _enough(k: int, samples: Samples, **_: Any) -> None:
    if k >= samples.count:
        raise UserError(f"{k} directions need more than {samples.count} samples; give more by -n")


@finder(
    "jaxlatent find ganspace ffhq -k 20 -n 100000 -o pca.safetensors",
    "jaxlatent find ganspace biggan --label 207 --block 0 -o pca.safetensors",
    tell=_shares,
    check=_enough,
)
@K
@samples(least=2)
@click.option(
    "--block", type=click.IntRange(0), help="Components of this block's activations, not of codes."
)
def ganspace(generator: "Generator", k: int, samples: Samples, block: int | None) -> "Directions":
    """Principal components of codes or activations (NeurIPS 2020)."""
    import jax

    from jaxlatent import find

    if block is None:
        found = find.ganspace(samples.latents(generator), k)
        return found.bind(generator, space=samples.where(generator))
    samples.check(generator, (1, generator.code_dim), needed=True)
    return find.ganspace_activations(
        generator,
        jax.random.key(0),  # of `generate`'s seeds
        samples.count,
        k,
        block=block,
        space=samples.space,
        label=samples.label,
    )


@finder(
    "jaxlatent find ica ffhq -k 10 -o ica.safetensors",
    tell=in_a_row("variances"),
    check=_enough,
)
@K
@samples(least=2)
@SEED
@MAX_ITER
def ica(generator: "Generator", k: int, samples: Samples, seed: int, max_iter: int) -> "Directions":
    """Independent components of codes (Hyvärinen and Oja, 2000)."""
    from jaxlatent import find

    found = find.ica(samples.latents(generator), k, key_of(seed), max_iter)
    return found.bind(generator, space=samples.where(generator))


@finder(
    "jaxlatent find sparse-pca ffhq -k 10 -n 2000 --alpha 2 -o sparse.safetensors",
    tell=in_a_row("variances"),
    check=_enough,
)
@K
@samples(least=2)
@SEED
@click.option(
    "--alpha", type=click.FloatRange(0), default=1.0, show_default=True, callback=finite,
    help="How much coordinates cost; more leaves fewer.",
)  # fmt: skip
@MAX_ITER
def sparse_pca(
    generator: "Generator", k: int, samples: Samples, seed: int, alpha: float, max_iter: int
) -> "Directions":
    """Components of codes with few coordinates each (JCGS 2006)."""
    from jaxlatent import find

    found = find.sparse_pca(samples.latents(generator), k, key_of(seed), alpha, max_iter)
    return found.bind(generator, space=samples.where(generator))


@finder(
    "jaxlatent find random ffhq -k 10 --seed 3 -o random.safetensors", tell=in_a_row("variances")
)
@K
@samples(least=2)
@SEED
def random(generator: "Generator", k: int, samples: Samples, seed: int) -> "Directions":
    """Random directions: what all others have to be better than.

    An edit by 1 moves by the codes' standard deviation along the direction.
    """
    from jaxlatent import find

    codes = samples.latents(generator)
    found = find.random_directions(key_of(seed), k, codes.shape[1], find.covariance(codes))
    return found.bind(generator, space=samples.where(generator))


def _shifts(reach: float, least: float) -> dict[str, Any]:
    if not 0 <= least < reach < float("inf"):
        raise UserError(f"shifts must be in 0 <= least < reach, got {least:g} and {reach:g}")
    return {"reach": reach, "least": least}


def _told_apart(directions: "Directions") -> "Iterable[str]":
    yield from in_a_row("shares of pairs in which it is named rightly")(directions)
    accuracy, k = directions.parameters["index_accuracy"], len(directions)
    yield f"of all pairs: {accuracy:.1%}, by chance {1 / k:.1%}"


@finder(
    "jaxlatent find voynov mnist -k 20 -o learned.safetensors",
    "jaxlatent find voynov ffhq -k 20 --reach 2 --least 0.2 --layers 0-7 -o learned.safetensors",
    tell=_told_apart,
)
@several(2)
@samples(2000, space=False)
@MOVED
@together(
    "shifts",
    _shifts,
    reach=click.option("--reach", type=float, default=6.0, show_default=True, callback=finite,
                       help="Largest shift, in the codes' units: smaller in w."),
    least=click.option("--least", type=float, default=0.5, show_default=True, callback=finite,
                       help="Smallest shift."),
)  # fmt: skip
@click.option(
    "--deformator", type=click.Choice(["orthogonal", "projected"]), default="orthogonal",
    show_default=True, help="Directions at right angles, or free.",
)  # fmt: skip
@trained(2000, 32)
@SEED
def voynov(
    generator: "Generator",
    k: int,
    samples: Samples,
    moved: Arguments,
    shifts: dict[str, Any],
    deformator: Literal["orthogonal", "projected"],
    trained: Train,
    seed: int,
) -> "Directions":
    """Directions that a network learns to tell apart (ICML 2020)."""
    from jaxlatent import find

    return find.voynov(
        generator,
        k=k,
        key=key_of(seed),
        deformator=deformator,
        **shifts,
        **samples.codes(generator),
        **moved(generator),
        **trained(),
    )

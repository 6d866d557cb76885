"""Finders that follow the gradient of a score, or train a walk to imitate a transformation."""

from typing import TYPE_CHECKING

import click

from jaxlatent.cli.finders.command import (
    MOVED,
    SEED,
    Arguments,
    Train,
    each,
    finder,
    key_of,
    trained,
)
from jaxlatent.cli.finders.samples import Samples, samples
from jaxlatent.cli.finders.scores import attribute, scorers_of
from jaxlatent.cli.options import finite

if TYPE_CHECKING:
    from jax import Array

    from jaxlatent.directions import Directions
    from jaxlatent.generators import Generator

TRANSFORMS = (
    "brightness", "red", "green", "blue", "zoom", "shift-down", "shift-right", "rotate",
)  # fmt: skip


@finder(
    "jaxlatent find ganalyze faces --attribute brightness -o light.safetensors",
    tell=each("  {name}: grows by {score:.3g} for an edit by 1, before it saturates"),
)
@attribute(several=False, required=True)
@samples(2000, space=False)
@MOVED
@click.option(
    "--reach", type=click.FloatRange(0, min_open=True), default=0.5, show_default=True,
    callback=finite,
    help="Largest change of the score that is asked for.",
)  # fmt: skip
@trained(1000, 8)
@SEED
def ganalyze(
    generator: "Generator",
    attribute: str,
    samples: Samples,
    moved: Arguments,
    reach: float,
    trained: Train,
    seed: int,
) -> "Directions":
    """A direction trained to raise a score as asked (ICCV 2019).

    Codes in z keep their length while it is trained.
    """
    from jaxlatent import find

    return find.ganalyze(
        generator,
        scorer=scorers_of(generator, [attribute])[attribute],
        key=key_of(seed),
        reach=reach,
        keep_norm="w" not in generator.spaces,
        name=attribute,
        **samples.codes(generator),
        **moved(generator),
        **trained(),
    )


@finder(
    "jaxlatent find gradients faces --attribute brightness -n 100 -o light.safetensors",
    tell=each("  {name}: grows by {score:.3g} for a move by 1, at first"),
)
@attribute(several=True, required=True)
@samples(256, space=False)
@MOVED
def gradients(
    generator: "Generator", attributes: tuple[str, ...], samples: Samples, moved: Arguments
) -> "Directions":
    """The mean gradient of scores (first order of GANalyze)."""
    import jax.numpy as jnp

    from jaxlatent import find

    scorers = scorers_of(generator, attributes)

    def scores(images: "Array") -> "Array":
        return jnp.stack([scorer(images) for scorer in scorers.values()], axis=1)

    return find.scorer_gradients(
        generator,
        scorer=scores,
        names=list(scorers),
        **samples.codes(generator),
        **moved(generator),
    )


@finder(
    "jaxlatent find steer faces --transform zoom --transform brightness -o walks.safetensors",
    tell=each("  {name}: comes {score:.1%} of the way to the transformed images"),
)
@click.option(
    "--transform", "transforms", type=click.Choice(TRANSFORMS), multiple=True, required=True,
    help="What to imitate; may be given more than once.",
)  # fmt: skip
@samples(2000, space=False)
@MOVED
@trained(1000, 8)
@SEED
def steer(
    generator: "Generator",
    transforms: tuple[str, ...],
    samples: Samples,
    moved: Arguments,
    trained: Train,
    seed: int,
) -> "Directions":
    """Walks that imitate zoom, rotation or colour (ICLR 2020)."""
    from jaxlatent import find

    return find.steerability(
        generator,
        transforms=[name.replace("-", " ") for name in dict.fromkeys(transforms)],
        key=key_of(seed),
        **samples.codes(generator),
        **moved(generator),
        **trained(),
    )

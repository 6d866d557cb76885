"""Finders that learn from a number for each of many samples."""

from typing import TYPE_CHECKING, Any

import click

from jaxlatent.cli.finders.command import K, each, finder, together
from jaxlatent.cli.finders.samples import Samples, samples, seeds
from jaxlatent.cli.finders.scores import SCORED, SCORES, Scores, agree, attribute
from jaxlatent.cli.options import finite
from jaxlatent.errors import UserError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from jaxlatent.directions import Directions
    from jaxlatent.generators import Generator


def _accuracies(directions: "Directions") -> "Iterable[str]":
    for name in directions.names:
        accuracy = directions.parameters["validation_accuracy"][name]
        told = "too few samples to test" if accuracy is None else f"{accuracy:.1%} of unseen ends"
        yield f"  {name}: {told}, {directions.parameters['whole_accuracy'][name]:.1%} of all"


@finder(
    "jaxlatent find boundary ffhq --scores smile.npy --names smile -o smile.safetensors",
    "jaxlatent find boundary faces --attribute brightness -n 5000 -o light.safetensors",
    "jaxlatent find boundary avatars --attribute glasses --ratio 0.1 -o glasses.safetensors",
    tell=_accuracies,
    check=agree,
)
@SCORED
@samples(least=2)
@click.option(
    "--ratio", type=click.FloatRange(0, min_open=True), default=0.02, show_default=True,
    callback=finite, help="Share of the samples to learn from at each end; above 1, their number.",
)  # fmt: skip
def boundary(
    generator: "Generator", scores: Scores, samples: Samples, ratio: float
) -> "Directions":
    """Planes between high and low scores (InterFaceGAN, CVPR 2020)."""
    import jax

    from jaxlatent import find

    scored = scores.of(generator, samples)
    found = find.boundary(scored.codes, scored.values, jax.random.key(1), scored.names, ratio)
    return found.bind(generator, space=samples.where(generator))


def _variances(directions: "Directions") -> "Iterable[str]":
    yield from each("  {name}: {score:.1%} of its variance")(directions)
    yield f"mean cosine between directions: {directions.parameters['similarity']:.3f}"


@finder(
    "jaxlatent find linear faces --attribute warmth -n 5000 -o warm.safetensors",
    tell=_variances,
    check=agree,
)
@SCORED
@samples(least=2)
@click.option(
    "--strength", type=click.FloatRange(0), default=0.0, show_default=True, callback=finite,
    help="Weight of the penalty that makes directions orthogonal.",
)  # fmt: skip
def linear(
    generator: "Generator", scores: Scores, samples: Samples, strength: float
) -> "Directions":
    """A linear map to scores, orthogonal on request (Pham et al.)."""
    from jaxlatent import find

    scored = scores.of(generator, samples)
    found = find.linear_map(scored.codes, scored.values, strength, names=scored.names)
    return found.bind(generator, space=samples.where(generator))


def _counts(directions: "Directions") -> "Iterable[str]":
    settings = directions.parameters
    for name, distance in zip(directions.names, directions.scale, strict=True):
        yield (
            f"  {name}: {settings['positive'][name]} of {settings['samples']} samples above "
            f"{settings['threshold'][name]:.4g}; means {float(distance):.3g} apart"
        )


@finder(
    "jaxlatent find means ffhq --scores smile.npy --threshold 0.5 -o smile.safetensors",
    "jaxlatent find means faces --attribute brightness -n 5000 -o light.safetensors",
    tell=_counts,
    check=agree,
)
@SCORED
@samples(least=2)
@click.option(
    "--threshold", type=float, callback=finite,
    help="Scores above it are positive; if not given, each attribute's median, or the middle of "
    "the two values that labels have.",
)  # fmt: skip
def means(
    generator: "Generator", scores: Scores, samples: Samples, threshold: float | None
) -> "Directions":
    """From the mean of low scores to that of high (ICLR 2016)."""
    from dataclasses import replace

    import numpy as np

    from jaxlatent import find

    scored = scores.of(generator, samples)
    columns = scored.values.T
    cuts = np.array([_middle(c) if threshold is None else threshold for c in columns])
    positive = scored.values > cuts[None]
    pairs = list(zip(scored.names, positive.T, cuts.tolist(), strict=True))
    stuck = [f"{cut:g} for {name}" for name, above, cut in pairs if above.all() or not above.any()]
    if stuck:
        raise UserError(f"all scores are on one side of {listed(stuck)}; give a --threshold")
    found = find.difference_of_means(scored.codes, positive, scored.names)
    used = {"threshold": {name: cut for name, _, cut in pairs}}
    found = replace(found, parameters={**found.parameters, **used})
    return found.bind(generator, space=samples.where(generator))


def _middle(scores: "np.ndarray") -> float:
    """Returns the median, or the mean of two labels."""
    import numpy as np

    labels = np.unique(scores)
    return float(np.mean(labels) if len(labels) == 2 else np.median(scores))


def _source(
    positive: list[int] | None, attribute: str | None, scores: str | None
) -> "list[int] | Scores":
    found = Scores.given((attribute,) if attribute else (), scores)
    if found is not None and len(found.names) > 1:
        several = f"{scores} has {len(found.names)} columns"
        raise UserError(f"{several}; channels are ranked for one attribute at a time")
    if found is not None and positive is None:
        return found
    if found is None and positive is not None:
        return positive
    raise UserError("give one of --positive SEEDS, --attribute and --scores FILE.npy")


def _others(source: "list[int] | Scores", best: int, samples: Samples, **_: Any) -> None:
    if isinstance(source, Scores) and best >= (n := source.count(samples)):
        raise UserError(f"--best {best} of {n} samples leaves no others; give more")


@finder(
    "jaxlatent find stylespace ffhq --positive 3,7-9,20-26 -k 5 -o smile.safetensors",
    "jaxlatent find stylespace ffhq --attribute warmth -n 1000 -k 5 -o warm.safetensors",
    tell=each("  {name}: relevance {score:.3g}"),
    check=_others,
)
@K
@together(
    "source",
    _source,
    positive=seeds("positive", "Samples with the attribute, ten to thirty; instead of scores."),
    attribute=attribute(several=False),
    scores=SCORES,
)
@click.option(
    "--best", type=click.IntRange(2), default=20, show_default=True,
    help="How many of the highest scores are the samples with the attribute.",
)  # fmt: skip
@samples(space=False, least=2)
def stylespace(
    generator: Any,
    k: int,
    source: "list[int] | Scores",
    best: int,
    samples: Samples,
) -> "Directions":
    """Single style channels of a StyleGAN (StyleSpace, CVPR 2021).

    Channels of feature maps rank by how unusual, and how alike, samples with the attribute are in
    them; those of ToRGB are left out. Directions are in the space s; `jaxlatent sweep` knows what
    to do.
    """
    import jax
    import numpy as np

    from jaxlatent import find
    from jaxlatent.generators import StyleSpace

    view = StyleSpace(generator)
    if isinstance(source, list):
        codes, examples = (samples.latents(generator, s) for s in (None, source))
    else:
        scored = source.of(generator, samples)
        codes = scored.codes
        examples = codes[np.argsort(-scored.values[:, 0], kind="stable")[:best]]
    styles = jax.jit(lambda view, w: view.to_styles(view.base.broadcast(w)))
    batches = (styles(view, codes[i : i + 1024]) for i in range(0, len(codes), 1024))
    return find.stylespace(view, styles(view, examples), find.channel_statistics(batches), k)

"""Options that say what scores samples: statistics of their images, or a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from jaxlatent.cli.finders.command import Command, together
from jaxlatent.cli.finders.samples import Samples
from jaxlatent.errors import UserError
from jaxlatent.files import read_npy

if TYPE_CHECKING:
    import numpy as np
    from jax import Array

    from jaxlatent.generators import Generator

STATISTICS = ("brightness", "contrast", "warmth")
_ONE = "give either --attribute or --scores FILE.npy"


def attribute(several: bool, **options: Any) -> Callable[[Command], Command]:
    """Adds the option that names statistics of images."""
    return click.option(
        "--attribute", "attributes" if several else "attribute", multiple=several,
        type=click.Choice(STATISTICS), **options,
        help=f"A statistic of the images{'; may be given more than once' * several}.",
    )  # fmt: skip


def statistics(generator: "Generator", names: Sequence[str]) -> dict[str, Any]:
    """Returns the scorers of these names, if the generator's images have such statistics."""
    from jaxlatent import scorers

    channels = generator.image_shape[2]
    if "warmth" in names and channels != 3:
        raise UserError(f"warmth is of images with 3 channels; these have {channels}")
    return {name: getattr(scorers, name) for name in names}


@dataclass(frozen=True)
class Scores:
    """What scores samples: statistics of their images, or a file."""

    attributes: tuple[str, ...]
    scores: str | None
    names: str | None = None

    def __post_init__(self) -> None:
        if self.attributes and self.scores is not None:
            raise UserError(_ONE)
        if self.names is not None and self.scores is None:
            raise UserError("--names are those of the columns of --scores")

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return bool(self.attributes) or self.scores is not None

    def of(self, generator: "Generator", samples: Samples) -> "Scored":
        """Returns the samples' codes and scores; a file says how many samples there are."""
        if self.scores is None:
            return self._statistics(generator, samples)
        values = read_npy(self.scores)
        if values.ndim > 2:
            raise UserError(
                f"{self.scores}: scores must be [n] or [n, attributes], got {values.shape}"
            )
        values = values.reshape(len(values), -1)
        n, columns = values.shape
        if samples.n not in (None, n):
            raise UserError(f"{self.scores} scores {n} samples, -n asks for {samples.n}")
        names = self.names.split(",") if self.names else [f"score {i}" for i in range(columns)]
        if len(names) != columns:
            raise UserError(f"{self.scores} has {columns} columns, --names has {len(names)} names")
        return Scored(samples.latents(generator, range(n)), values, names)

    def _statistics(self, generator: "Generator", samples: Samples) -> "Scored":
        import jax.numpy as jnp

        from jaxlatent.scorers import score

        scorers = statistics(generator, self.attributes)
        found = samples.latents(generator)
        classes = None if samples.label is None else jnp.full(len(found), samples.label)
        w = found if samples.where(generator) == "w" else generator.map(found, classes)
        values = score(generator, generator.broadcast(w), scorers, label=classes)
        return Scored(found, values, list(self.attributes))


@dataclass(frozen=True)
class Scored:
    """Codes [n, d], their scores [n, a], and the scores' names."""

    codes: "Array"
    values: "np.ndarray"
    names: list[str]


def _needed(**values: Any) -> Scores:
    found = Scores(**values)
    if not found.given:
        raise UserError(_ONE)
    return found


SCORES = click.option(
    "--scores", metavar="FILE.npy",
    help="Scores [n] or [n, attributes] of the images of `generate --seeds 0-(n-1)`.",
)  # fmt: skip
SCORED = together(
    "scores",
    _needed,
    attributes=attribute(several=True),
    scores=SCORES,
    names=click.option("--names", metavar="A,B", help="Names of the columns of --scores."),
)

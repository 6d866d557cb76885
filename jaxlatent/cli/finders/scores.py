"""Options that say what scores samples: statistics of their images, a network, or a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from jaxlatent.cli.finders.command import Command, together
from jaxlatent.cli.finders.samples import Samples
from jaxlatent.errors import UserError, listed
from jaxlatent.files import read_npy

if TYPE_CHECKING:
    import numpy as np
    from jax import Array

    from jaxlatent.generators import Generator

STATISTICS = ("brightness", "contrast", "warmth")
_ONE = "give either --attribute or --scores FILE.npy"


def _known(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Checks attributes by the model's name, before it is loaded."""
    asked = [] if value is None else [value] if isinstance(value, str) else value
    if {*asked} <= {*STATISTICS}:
        return value
    from jaxlatent.embedded import load_reader

    reader = load_reader(context.params["model"])
    names = [*STATISTICS, *(() if reader is None else reader.names)]
    for name in asked:
        if name not in names:
            told = ", ".join(map(repr, names))
            raise click.BadParameter(f"{name!r} is not one of {told}", context, parameter)
    return value


def attribute(several: bool, **options: Any) -> Callable[[Command], Command]:
    """Adds the option that names attributes of images."""
    return click.option(
        "--attribute", "attributes" if several else "attribute", multiple=several,
        metavar="NAME", callback=_known, **options,
        help=f"A statistic of the images ({', '.join(STATISTICS)}), or, for avatars, an attribute "
        f"that their network reads, such as glasses{'; may be given more than once' * several}.",
    )  # fmt: skip


def scorers_of(generator: "Generator", names: Sequence[str]) -> dict[str, Any]:
    """Returns the scorers of these names, if the generator's images have such attributes."""
    from jaxlatent import scorers
    from jaxlatent.embedded import reader_of

    channels = generator.image_shape[2]
    if "warmth" in names and channels != 3:
        raise UserError(f"warmth is of images with 3 channels; these have {channels}")
    others = [name for name in names if name not in STATISTICS]
    reader = reader_of(generator) if others else None
    if others and reader is None:
        raise UserError(f"no network of the package reads {listed(others)} in these images")
    read = {} if reader is None else {name: reader.scorer(name) for name in others}
    return {name: read[name] if name in read else getattr(scorers, name) for name in names}


@dataclass(frozen=True)
class Scores:
    """What scores samples: attributes of their images, or the columns [n, a] of a file."""

    names: list[str]
    file: str = ""
    values: "np.ndarray | None" = None

    @classmethod
    def given(
        cls, attributes: Sequence[str], scores: str | None, names: str | None = None
    ) -> "Scores | None":
        """Returns those that the options ask for, or `None` if they ask for none."""
        if attributes and scores is not None:
            raise UserError(_ONE)
        if names is not None and scores is None:
            raise UserError("--names are those of the columns of --scores")
        if scores is None:
            return cls(list(dict.fromkeys(attributes))) if attributes else None
        values = read_npy(scores)
        if values.ndim > 2:
            raise UserError(f"{scores}: scores must be [n] or [n, attributes], got {values.shape}")
        values = values.reshape(len(values), -1)
        return cls(_column_names(names, scores, values.shape[1]), scores, values)

    def count(self, samples: Samples) -> int:
        """Returns how many samples there are, if file and options agree on it."""
        if self.values is None:
            return samples.count
        n = len(self.values)
        if samples.n not in (None, n):
            raise UserError(f"{self.file} scores {n} samples, -n asks for {samples.n}")
        if n < 2:
            raise UserError(f"{self.file} scores {n} sample; 2 or more are needed")
        return n

    def of(self, generator: "Generator", samples: Samples) -> "Scored":
        """Returns the samples' codes and scores; a file says how many samples there are."""
        if self.values is None:
            return self._attributes(generator, samples)
        codes = samples.latents(generator, range(self.count(samples)))
        return Scored(codes, self.values, self.names)

    def _attributes(self, generator: "Generator", samples: Samples) -> "Scored":
        import jax.numpy as jnp

        from jaxlatent.scorers import score

        scorers = scorers_of(generator, self.names)
        samples.check(generator, (1, generator.code_dim), needed=True)
        found = samples.latents(generator)
        classes = None if samples.label is None else jnp.full(len(found), samples.label)
        w = found if samples.where(generator) == "w" else generator.map(found, classes)
        values = score(generator, generator.broadcast(w), scorers, label=classes)
        return Scored(found, values, self.names)


@dataclass(frozen=True)
class Scored:
    """Codes [n, d], their scores [n, a], and the scores' names."""

    codes: "Array"
    values: "np.ndarray"
    names: list[str]


def _column_names(names: str | None, file: str, columns: int) -> list[str]:
    if names is None:
        return [f"score {i}" for i in range(columns)]
    found = [name.strip() for name in names.split(",")]
    problems = []
    if len(found) != columns:
        problems.append(f"{file} has {columns} columns, --names has {len(found)} names")
    if not all(found):
        problems.append(f"--names {names!r} has an empty name")
    if len({*found}) < len(found):
        problems.append(f"--names {names!r} has a name twice")
    if problems:
        raise UserError("; ".join(problems))
    return found


def _needed(attributes: tuple[str, ...], scores: str | None, names: str | None) -> Scores:
    found = Scores.given(attributes, scores, names)
    if found is None:
        raise UserError(_ONE)
    return found


def agree(scores: Scores, samples: Samples, **_: Any) -> None:
    """Raises an error if a file scores another number of samples than are asked for."""
    scores.count(samples)


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

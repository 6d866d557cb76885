"""What finders that learn from samples share: which samples, and what scores them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from jaxlatent.errors import UserError
from jaxlatent.files import read_npy

if TYPE_CHECKING:
    import numpy as np

    from jaxlatent.generators import Generator

STATISTICS = ("brightness", "contrast", "warmth")
_DRAWN = 10_000

K = click.option("-k", type=int, default=10, show_default=True, help="Number of directions.")
OUT = click.option(
    "-o", "--out", metavar="OUT.safetensors", required=True, help="File to write."
)  # fmt: skip
SAMPLES = click.option(
    "-n", "--samples", "n", type=int,
    help=f"Number of samples: those of the seeds 0 to N - 1; {_DRAWN} if not given.",
)  # fmt: skip
SPACE = click.option(
    "--space", type=click.Choice(["z", "w"]),
    help="Where directions are looked for; w if there is one, else z.",
)  # fmt: skip
CLASS = click.option("--label", type=int, help="Class of all samples of a conditional generator.")


def scored(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say what scores the samples."""
    options = (
        click.option(
            "--attribute", "attributes", type=click.Choice(STATISTICS), multiple=True,
            help="A statistic of the images; may be given more than once.",
        ),
        click.option(
            "--scores", metavar="FILE.npy",
            help="Scores [n] or [n, attributes] of the images of `generate --seeds 0-(n-1)`.",
        ),
        click.option("--names", metavar="A,B", help="Names of the columns of --scores."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def check(attributes: tuple[str, ...], scores: str | None, names: str | None) -> None:
    """Raises `UserError` unless the options name scores in one way."""
    if bool(attributes) == (scores is not None):
        raise UserError("give either --attribute or --scores FILE.npy")
    if names is not None and scores is None:
        raise UserError("--names are those of the columns of --scores")


def drawn(
    generator: "Generator", n: int | None, space: str | None, label: int | None
) -> "tuple[np.ndarray, str]":
    """Returns codes [n, d] of the first seeds, and the space that they are in."""
    import jax
    import numpy as np

    from jaxlatent.find import sample

    space = space or ("w" if "w" in generator.spaces else "z")
    key = jax.random.key(0)  # of `generate`'s seeds
    batches = sample(generator, key, _DRAWN if n is None else n, space, label=label)
    return np.concatenate([np.asarray(batch.latents) for batch in batches]), space


def with_scores(
    generator: "Generator",
    n: int | None,
    space: str | None,
    label: int | None,
    attributes: tuple[str, ...],
    scores: str | None,
    names: str | None,
) -> "tuple[np.ndarray, np.ndarray, list[str], str]":
    """Returns codes [n, d], their scores [n, a], the scores' names and the codes' space."""
    import jax.numpy as jnp

    from jaxlatent import scorers

    if scores is None:
        codes, space = drawn(generator, n, space, label)
        x = jnp.asarray(codes)
        classes = None if label is None else jnp.full(len(x), label)
        layered = generator.broadcast(generator.map(x, classes) if space == "z" else x)
        chosen = {name: getattr(scorers, name) for name in attributes}
        return codes, scorers.score(generator, layered, chosen, label=classes), [*chosen], space
    values = read_npy(scores)
    if values.ndim not in (1, 2) or not values.size:
        raise UserError(f"{scores}: scores must be [n] or [n, attributes], got {values.shape}")
    values = values.reshape(len(values), -1)
    if n not in (None, len(values)):
        raise UserError(f"{scores} scores {len(values)} samples, -n asks for {n}")
    named = names.split(",") if names else [f"score {i}" for i in range(values.shape[1])]
    if len(named) != values.shape[1]:
        raise UserError(f"{scores} has {values.shape[1]} columns, --names has {len(named)} names")
    codes, space = drawn(generator, len(values), space, label)
    return codes, values, named, space

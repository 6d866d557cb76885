"""Options that say which samples finders learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import click

from jaxlatent import arguments
from jaxlatent.cli.finders.command import Command, together
from jaxlatent.cli.options import LABEL
from jaxlatent.errors import UserError

if TYPE_CHECKING:
    from jax import Array

    from jaxlatent.generators import Generator

MANY = 10_000


@dataclass(frozen=True)
class Samples:
    """The samples of the first seeds, those of `generate --seeds 0-(n-1)`."""

    default: int
    n: int | None
    label: int | None
    space: str | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return self.default if self.n is None else self.n

    def where(self, generator: "Generator") -> str:
        """Returns the space that was asked for; by default w if there is one, else z."""
        return self.space or ("w" if "w" in generator.spaces else "z")

    def check(self, generator: "Generator", shape: Sequence[int], needed: bool) -> None:
        """Raises an error unless there can be samples, before any is drawn.

        Args:
            generator: which draws them.
            shape: of one code, of which memory must hold all.
            needed: whether a conditional generator cannot do without their class.
        """
        classes = generator.num_classes
        if self.label is not None and not classes:
            raise UserError("the generator is not conditional; give no --label")
        if classes and (needed if self.label is None else self.label >= classes):
            raise UserError(f"the generator is conditional: give --label, 0 to {classes - 1}")
        from jaxlatent.memory import check_host_memory

        check_host_memory(f"the codes of {self.count} samples", 4 * self.count * prod(shape))

    def latents(self, generator: "Generator", seeds: Sequence[int] | None = None) -> "Array":
        """Returns codes [n, d] in that space, of these seeds or of the first ones."""
        import jax.numpy as jnp

        from jaxlatent.find import sample
        from jaxlatent.keys import seed_keys

        where = self.where(generator)
        self.check(generator, generator.spaces.get(where, (1, 1)), needed=where == "w")
        numbers = range(self.count) if seeds is None else seeds
        keys = seed_keys(numbers)
        batches = sample(generator, keys, len(numbers), where, label=self.label)
        return jnp.concatenate([batch.latents for batch in batches])

    def codes(self, generator: "Generator") -> dict[str, Any]:
        """Returns codes [n, L, d], a row for each layer, and their classes, by argument."""
        self.check(generator, (generator.num_layers, generator.code_dim), needed=True)
        label = None if self.label is None else str(self.label)
        return layered(generator, range(self.count), label)


def layered(generator: "Generator", seeds: Sequence[int], label: str | None) -> dict[str, Any]:
    """Returns the codes of seeds, a row for each layer, and their classes, by argument."""
    from jaxlatent.keys import seed_keys
    from jaxlatent.spaces import to_codes

    labels = arguments.labels(label, len(seeds), generator)
    z = generator.sample_z(seed_keys(seeds), len(seeds))
    return {"codes": to_codes(generator, z, "z", labels), "label": labels}


SPACE = click.option(
    "--space", type=click.Choice(["z", "w"]),
    help="Where directions are looked for; w if there is one, else z.",
)  # fmt: skip


def samples(
    default: int = MANY, space: bool = True, least: int = 1
) -> Callable[[Command], Command]:
    """Adds the options of samples that nobody chose: how many, of which class, in which space.

    Args:
        default: number of samples. Codes cost little; images are drawn by the thousand or fewer.
        space: whether there is a choice; images are rendered from a row for each layer.
        least: the fewest samples that will do.
    """
    options = {
        "n": click.option("-n", "--samples", "n", type=click.IntRange(least),
                          help=f"Number of samples: those of the seeds 0 to N - 1; {default} if "
                          "not given."),
        "label": click.option("--label", type=click.IntRange(0),
                              help="Class of all samples of a conditional generator."),
    } | ({"space": SPACE} if space else {})  # fmt: skip
    return together("samples", partial(Samples, default), **options)


def _seeds(_context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    return None if value is None else arguments.indices(value, str(parameter.name))


def seeds(name: str, what: str, **options: Any) -> Callable[[Command], Command]:
    """Adds an option that takes seeds, as `generate --seeds` does."""
    return click.option(f"--{name}", metavar="3,7-9", callback=_seeds, help=what, **options)


CHOSEN = together(
    "chosen",
    lambda seeds, label: partial(layered, seeds=seeds, label=label),
    seeds=seeds("seeds", "Samples to look at, on average.", default="0", show_default=True),
    label=LABEL,
)

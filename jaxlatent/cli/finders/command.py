"""What all finders' commands share: load, find, write, tell; and options that go together."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from jaxlatent import arguments, console
from jaxlatent.cli.options import MODEL, OUT_DIRECTIONS, examples, finite, loaded
from jaxlatent.files import atomic_file

if TYPE_CHECKING:
    from jax import Array

    from jaxlatent.directions import Directions
    from jaxlatent.generators import Generator

Command = Callable[..., Any]
Tell = Callable[["Directions"], Iterable[str]]
Arguments = Callable[["Generator"], dict[str, Any]]  # of a finder, by name
Train = Callable[[], dict[str, Any]]
_TOGETHER = "options_together"  # an attribute of functions: parameter, what makes it, its options


def numbered(directions: "Directions") -> Iterable[str]:
    """Tells the names with their numbers, which `sweep --index` takes."""
    return (f"{number:>3}  {name}" for number, name in enumerate(directions.names))


def in_a_row(what: str) -> Tell:
    """Returns what tells the scores in one line."""
    return lambda directions: [f"{what}: {', '.join(f'{s:.4g}' for s in _scores(directions))}"]


def each(text: str) -> Tell:
    """Returns what tells a line for each direction, with its `name` and `score`."""
    return lambda directions: (
        text.format(name=name, score=score)
        for name, score in zip(directions.names, _scores(directions), strict=True)
    )


def _scores(directions: "Directions") -> list[float]:
    return [float(s) for s in directions.scores.reshape(len(directions), -1).sum(axis=1)]


def finder(
    *lines: str, tell: Tell = numbered, check: Callable[..., None] | None = None
) -> Callable[[Command], click.Command]:
    """Makes a command of a function from a generator, and options, to directions.

    The command takes MODEL and --out too; it loads the one, writes the directions to the other and
    tells what it wrote. The options are checked and the place to write is opened first, so that no
    work is lost.

    Args:
        *lines: examples for the help.
        tell: what is printed about the directions.
        check: raises an error if the options, given by name, do not go together.
    """

    def command(function: Command) -> click.Command:
        @wraps(function)
        def run(model: str, out: str, **options: Any) -> None:
            console.checked_suffix(out, ".safetensors")
            for parameter, make, own in getattr(function, _TOGETHER, ()):
                options[parameter] = make(**{option: options.pop(option) for option in own})
            if check is not None:
                check(**options)
            with atomic_file(out) as temporary:
                directions = function(loaded(model), **options)
                directions.save(temporary)
            found, asked = len(directions), options.get("k", 0)
            fewer = f"{found} of {console.counted(asked, 'direction')}"
            told = fewer if found < asked else console.counted(found, "direction")
            click.echo(f"{out}: {told} in {directions.space}")
            for line in tell(directions):
                click.echo(line)

        name = function.__name__.replace("_", "-")
        return click.command(name, epilog=examples(*lines))(MODEL(OUT_DIRECTIONS(run)))

    return command


def together(name: str, make: Command, **options: Command) -> Callable[[Command], Command]:
    """Returns a decorator that adds options, of which the command gets one object.

    It is made, and so checked, before the model is loaded.

    Args:
        name: of the command's parameter.
        make: function of the options' values, by their names.
        **options: by name.
    """

    def add(command: Command) -> Command:
        groups = getattr(command, _TOGETHER, ())
        setattr(command, _TOGETHER, (*groups, (name, make, tuple(options))))
        for option in reversed(options.values()):
            command = option(command)
        return command

    return add


def key_of(seed: int) -> "Array":
    """Returns the key of a --seed, which draws other numbers than the seeds of samples do."""
    import jax

    return jax.random.key(1 + seed)


def several(least: int) -> Callable[[Command], Command]:
    """Adds the option that says how many directions are asked for."""
    some = click.IntRange(least)
    return click.option(
        "-k", type=some, default=10, show_default=True, help="Number of directions."
    )


def numbers(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Checks that an option has a list of numbers, before the generator says which there are."""
    if value is not None:
        arguments.indices(value, str(parameter.name))
    return value


K = several(1)
LAYERS = click.option(
    "--layers", metavar="0-3", callback=numbers, help="Layers that may move; all if not given."
)
SEED = click.option(
    "--seed", type=click.IntRange(0, 10**9), default=0, show_default=True,
    help="Of the method's own randomness: another one, another result.",
)  # fmt: skip


def _moved(layers: str | None, per_layer: bool) -> Arguments:
    return lambda generator: {
        "layers": arguments.layers(layers, generator),
        "shared": not per_layer,
    }


MOVED = together(
    "moved",
    _moved,
    layers=LAYERS,
    per_layer=click.option("--per-layer", is_flag=True, help="A vector for each layer."),
)


def _trained(steps: int, batch: int, learning_rate: float) -> Train:
    def settings() -> dict[str, Any]:
        from jaxlatent.find import Training

        progress = console.progress_bar("step")
        return {"training": Training(steps, batch, learning_rate), "progress": progress}

    return settings


def trained(steps: int, batch: int) -> Callable[[Command], Command]:
    """Adds the options of a training, with these defaults."""
    some = click.IntRange(1)
    rate = click.FloatRange(0, 1, min_open=True)
    return together(
        "trained",
        _trained,
        steps=click.option("--steps", type=some, default=steps, show_default=True,
                           help="Steps of the training."),
        batch=click.option("--batch", type=some, default=batch, show_default=True,
                           help="Samples in a step."),
        learning_rate=click.option("--learning-rate", type=rate, default=1e-3, show_default=True,
                                   callback=finite, help="Of Adam."),
    )  # fmt: skip

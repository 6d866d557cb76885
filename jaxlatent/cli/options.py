"""What several commands take and do: options, examples, loading a model with its settings."""

from collections.abc import Mapping
from typing import Any

import click

from jaxlatent import arguments


def finite(_context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Checks a number that was given; ranges let pass what is not a number."""
    return value if value is None else arguments.finite(value, parameter.opts[0])


MODEL = click.argument("model", is_eager=True)  # which says what other options may name
OUT = click.option(
    "-o", "--out", metavar="OUT.png|.npy", required=True, help="Image or array file to write."
)
OUT_DIRECTIONS = click.option(
    "-o", "--out", metavar="OUT.safetensors", required=True, help="File to write."
)
PSI = click.option(
    "--psi", type=float, callback=finite,
    help="Truncation: 1 keeps codes, 0 gives the mean.",
)  # fmt: skip
CUTOFF = click.option("--cutoff", type=int, help="Truncate only the first N layers.")
LABEL = click.option(
    "--label",
    metavar="N|LIST|MIXTURE|FILE.npy",
    help="Class of a conditional generator; a class for each sample (0-3); a mixture of classes "
    "(3:0.6,7:0.4); or a file of classes or weights.",
)
NOISE = click.option(
    "--noise", type=click.Choice(["const", "none", "random"]), default="const", show_default=True,
    help="Noise maps: the stored ones, none, or fresh ones for each seed.",
)  # fmt: skip

SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="Change a setting of the model's configuration; `info` lists them.",
)  # fmt: skip


def examples(*lines: str) -> str:
    """Returns commands as the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def loaded(model: str, changes: Mapping[str, str] | None = None, any_network: bool = False) -> Any:
    """Returns the model with the settings that were given."""
    from converters import ConversionError
    from jaxlatent.bundle import load, load_model
    from jaxlatent.configs import replaced
    from jaxlatent.parameters import build, parameters

    try:
        network = load_model(model) if any_network else load(model)
    except ConversionError as error:
        if "option" not in str(error):
            raise
        raise ConversionError(
            f"{error}; options are taken by `jaxlatent convert {model} OUT --option NAME=VALUE`"
        ) from None
    if not changes:
        return network
    return build(replaced(network.config, changes), parameters(network), network.origin)

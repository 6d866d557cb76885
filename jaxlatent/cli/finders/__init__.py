"""The commands that find directions, ordered by what they need."""

import click

from jaxlatent.cli.finders.chosen import few_shot, local, lowrankgan, resefa
from jaxlatent.cli.finders.gradient import ganalyze, gradients, steer
from jaxlatent.cli.finders.scored import boundary, linear, means, stylespace
from jaxlatent.cli.finders.unlabelled import ganspace, ica, random, sparse_pca, voynov
from jaxlatent.cli.finders.weights import infogan, sefa

_SECTIONS = {
    "From the weights alone": (sefa, infogan),
    "From samples without labels": (ganspace, ica, sparse_pca, voynov, random),
    "From scores of samples": (boundary, linear, means, stylespace),
    "From samples that you choose by their seeds": (few_shot, local, resefa, lowrankgan),
    "From gradients of a score, or by imitation": (ganalyze, gradients, steer),
}


class _Methods(click.Group):
    """A group whose help lists the commands in sections."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a table for each section, their columns in line."""
        width = max(map(len, self.commands))
        room = formatter.width - width - 4
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(c.name).ljust(width), c.get_short_help_str(room)) for c in commands]
                )


@click.group(cls=_Methods, invoke_without_command=True)
@click.pass_context
def find(context: click.Context) -> None:
    """Find semantic directions.

    METHOD MODEL -o OUT.safetensors writes a file for `jaxlatent sweep` and `jaxlatent directions`.
    Not sure? Begin with sefa; docs/finders.md says when to take which.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _commands in _SECTIONS.values():
    for _command in _commands:
        find.add_command(_command)

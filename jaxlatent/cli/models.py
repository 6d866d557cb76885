"""The commands about models: convert, formats, info, export."""

from typing import TYPE_CHECKING, Any

import click

from jaxlatent import arguments, console
from jaxlatent.cli.options import MODEL, SETTINGS, examples, loaded
from jaxlatent.errors import printable
from jaxlatent.files import atomic_folder

if TYPE_CHECKING:
    from jaxlatent.generators import Generator
    from jaxlatent.model import Model


@click.command(
    short_help="Convert a checkpoint into a model folder.",
    epilog=examples(
        "jaxlatent convert stylegan2-ffhq.pkl ffhq",
        "jaxlatent convert netG_epoch_99.pth mnist --option image_size=28",
    ),
)
@click.argument("checkpoint")
@click.argument("out_dir")
@click.option("--format", "name", help="The checkpoint's format, if it should not be detected.")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=VALUE", help="What the file leaves open."
)
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Type of the trained parameters on disk and in memory; float32 if not given.",
)  # fmt: skip
def convert(
    checkpoint: str, out_dir: str, name: str | None, options: tuple[str, ...], dtype: str | None
) -> None:
    """Convert a PyTorch or TensorFlow CHECKPOINT into the model folder OUT_DIR.

    Neither torch nor the original code is needed, and nothing in the file is executed.
    `jaxlatent formats` lists what --format and --option take.
    """
    pairs = arguments.pairs(options)
    from jaxlatent.bundle import is_bundle
    from jaxlatent.bundle import save as save_bundle

    with atomic_folder(out_dir, is_bundle) as folder:
        from converters import convert as convert_checkpoint

        converted = convert_checkpoint(checkpoint, name, pairs, dtype)
        save_bundle(converted.model, folder)
    for notice in converted.notices:
        click.echo(f"note: {notice}")
    click.echo(f"{out_dir}: {_summary(converted.model)}, from {converted.format}")


@click.command(epilog=examples("jaxlatent formats"))
@click.option("--markdown", is_flag=True, help="As a page with a table.")
def formats(markdown: bool) -> None:
    """List the checkpoint formats that are read, their projects, licences and options."""
    from converters import describe_formats, formats_page

    click.echo(formats_page() if markdown else describe_formats(), nl=not markdown)


@click.command(epilog=examples("jaxlatent info ffhq"))
@MODEL
def info(model: str) -> None:
    """Say what MODEL is: family, sizes, spaces, origin, configuration."""
    import dataclasses

    from jaxlatent.generators import Generator
    from jaxlatent.parameters import fingerprint, parameters

    network = loaded(model, any_network=True)
    rows: dict[str, Any] = {"family": network.family}
    if isinstance(network, Generator):
        spaces = [f"{name} [{rows}, {width}]" for name, (rows, width) in network.spaces.items()]
        rows |= {
            "images": _size(network),
            "layers": network.num_layers,
            "blocks": network.num_blocks,
            "spaces": ", ".join(spaces),
            "classes": network.num_classes,
        }
    arrays = parameters(network)
    numbers = sum(a.size for a in arrays.values())
    kinds = ", ".join(sorted({str(a.dtype) for a in arrays.values()}))
    rows["parameters"] = f"{numbers:,} in {len(arrays)} arrays, {kinds}"
    rows["fingerprint"] = fingerprint(network)
    if network.origin is not None:
        rows |= {f"origin {k}": v for k, v in dataclasses.asdict(network.origin).items()}
    rows |= {f"config {k}": v for k, v in dataclasses.asdict(network.config).items()}
    width = max(map(len, rows))
    for key, value in rows.items():
        click.echo(f"{key:<{width}}  {printable(str(value))}")


@click.command(
    short_help="Write a model for programs without this library.",
    epilog=examples(
        "jaxlatent export ffhq ffhq-hlo --to stablehlo",
        "jaxlatent export ffhq ffhq.safetensors --to safetensors",
    ),
)
@MODEL
@click.argument("out")
@click.option(
    "--to", type=click.Choice(["stablehlo", "safetensors"]), required=True,
    help="A folder of programs for any JAX, or one file of parameters.",
)  # fmt: skip
@SETTINGS
def export(model: str, out: str, to: str, settings: tuple[str, ...]) -> None:
    """Write MODEL for programs without this library, read it again and compare.

    stablehlo: a folder of programs (map, synthesize) for CPU, CUDA and TPU, and their parameters.
    safetensors: one file of parameters with the configuration in its metadata.
    """
    changes = arguments.pairs(settings)
    if to == "safetensors":
        console.checked_suffix(out, ".safetensors")
    from jaxlatent import exports

    network = loaded(model, changes, any_network=True)
    if to == "safetensors":
        exports.save_safetensors(network, out)
        click.echo(f"{out}: read again, the same parameters")
        return
    differences = exports.save_stablehlo(network, out)
    for name, difference in differences.items():
        click.echo(f"{out}/{name}.stablehlo: read again, differs by {difference:.1e} at most")


def _summary(model: "Model") -> str:
    from jaxlatent.generators import Generator

    return f"{model.family}, {_size(model)}" if isinstance(model, Generator) else model.family


def _size(generator: "Generator") -> str:
    height, width, channels = generator.image_shape
    return f"{height}x{width}, {console.counted(channels, 'channel')}"

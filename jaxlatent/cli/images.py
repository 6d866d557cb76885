"""The commands that render images: generate and sweep."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import numpy as np

from jaxlatent import arguments, console
from jaxlatent.cli.options import CUTOFF, LABEL, MODEL, NOISE, OUT, PSI, SETTINGS, examples, loaded
from jaxlatent.errors import UserError
from jaxlatent.files import read_npy

if TYPE_CHECKING:
    from jaxlatent.directions import Directions
    from jaxlatent.generators import Generator


@click.command(
    short_help="Render images from seeds or codes.",
    epilog=examples(
        "jaxlatent generate ffhq --seeds 0-15 --psi 0.7 -o faces.png",
        "jaxlatent generate ffhq --codes w.npy --space w -o images.npy",
        "jaxlatent generate cifar10 --seeds 0-9 --label 3 -o cats.png",
    ),
)
@MODEL
@click.option("--seeds", metavar="0-15", help="Numbers of the samples.  [default: 0-15]")
@click.option("--codes", metavar="FILE.npy", help="Latent codes instead of seeds.")
@click.option("--space", type=click.Choice(["z", "z+", "w", "w+"]), help="The space of --codes.")
@LABEL
@PSI
@CUTOFF
@NOISE
@SETTINGS
@OUT
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
        from jaxlatent.sheet import grid
        from jaxlatent.sweeps import render

        generator = loaded(model, changes)
        batch, options = rendering(generator, numbers, array, space, label, psi, cutoff, noise)
        images = render(generator, batch, **options, progress=console.progress_bar())
        word = "seed" if codes is None else "code"
        write(images, lambda: grid(images, [f"{word} {i}" for i in numbers]))


def rendering(
    generator: "Generator",
    numbers: Sequence[int],
    array: np.ndarray | None,
    space: str | None,
    label: str | None,
    psi: float | None,
    cutoff: int | None,
    noise: str,
) -> tuple[Any, dict[str, Any]]:
    """Returns the codes and the options that `render` takes."""
    from jaxlatent.keys import seed_keys
    from jaxlatent.spaces import to_codes

    # a class is read on the way from z, or in synthesis where there is no w
    needed = space in (None, "z") or "w" not in generator.spaces
    labels = arguments.labels(label, len(numbers), generator, needed)
    z = generator.sample_z(seed_keys(numbers), len(numbers))
    codes = to_codes(generator, z if array is None else array, space or "z", labels)
    if psi is not None:
        codes = generator.truncate(codes, psi, cutoff)
    keys = seed_keys(numbers) if noise == "random" else None
    return codes, {"noise": noise, "key": keys, "label": labels}


@click.command(
    short_help="Move samples along directions and render them.",
    epilog=examples(
        "jaxlatent sweep ffhq pose.safetensors --index 0-4 --strengths=-3:3:7 -o sweep.png",
        "jaxlatent sweep ffhq smile.npy --space w --layers 4-7 --psi 0.7 -o smile.png",
    ),
)
@MODEL
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
@LABEL
@PSI
@CUTOFF
@NOISE
@SETTINGS
@OUT
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
    check_space(directions, space)
    with console.image_file(out) as write:
        from jaxlatent.sheet import sweep_sheet
        from jaxlatent.sweeps import sweep as run

        generator, codes, found, options = sweeping(
            model, changes, directions, space, index, numbers, layers, label, noise
        )
        options |= {"mode": mode, "stage": stage, "psi": psi, "cutoff": cutoff}
        images = run(generator, codes, found, amounts, **options, progress=console.progress_bar())
        rows = [f"seed {i}" for i in numbers]
        write(images, lambda: sweep_sheet(images, rows, found.names, amounts))


def check_space(directions: str, space: str | None) -> None:
    """Raises `UserError` unless either the file of directions or the user tells their space."""
    bare = Path(directions).suffix == ".npy"
    if bare and space is None:
        raise UserError(f"{directions} does not tell its space: give --space z, w or w+")
    if space is not None and not bare:
        raise UserError(f"{directions} tells its space; --space is for .npy boundaries")


def sweeping(
    model: str,
    changes: Mapping[str, str],
    directions: str,
    space: str | None,
    index: str | None,
    numbers: Sequence[int],
    layers: str | None,
    label: str | None,
    noise: str,
) -> tuple[Any, Any, "Directions", dict[str, Any]]:
    """Returns the generator, codes, directions and options that `jaxlatent.sweep` takes."""
    from jaxlatent.directions import Directions
    from jaxlatent.generators import StyleSpace
    from jaxlatent.keys import seed_keys
    from jaxlatent.spaces import to_codes

    found = Directions.load(directions, space or "")
    generator = loaded(model, changes)
    if found.space == "s":
        generator = StyleSpace(generator)
    wanted = f"0-{min(5, len(found)) - 1}" if index is None else index
    found = found[arguments.indices(wanted, "index", len(found))]
    labels = arguments.labels(label, len(numbers), generator)
    z = generator.sample_z(seed_keys(numbers), len(numbers))
    codes = z[:, None] if found.space == "z" else to_codes(generator, z, "z", labels)
    options = {
        "layers": arguments.layers(layers, generator),
        "noise": noise,
        "key": seed_keys(numbers) if noise == "random" else None,
        "label": labels,
    }
    return generator, codes, found, options

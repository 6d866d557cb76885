"""The command that compiles what generate and sweep will run, so that they start at once."""

from pathlib import Path

import click

from jaxlatent import arguments
from jaxlatent.cli.images import check_space, rendering, sweeping
from jaxlatent.cli.options import CUTOFF, LABEL, MODEL, NOISE, PSI, SETTINGS, examples, loaded
from jaxlatent.errors import UserError


@click.command(
    short_help="Compile what generate and sweep will run.",
    epilog=examples(
        "jaxlatent warm ffhq --psi 0.7",
        "jaxlatent warm ffhq pose.safetensors",
    ),
)
@MODEL
@click.argument("directions", required=False)
@click.option("--space", type=click.Choice(["z", "z+", "w", "w+"]), help="Of a .npy boundary.")
@LABEL
@PSI
@CUTOFF
@NOISE
@SETTINGS
def warm(
    model: str,
    directions: str | None,
    space: str | None,
    label: str | None,
    psi: float | None,
    cutoff: int | None,
    noise: str,
    settings: tuple[str, ...],
) -> None:
    """Compile what `generate MODEL` runs, or with DIRECTIONS what `sweep` runs, and keep it.

    It is for the seeds, strengths and layers that these take if none are given, and for the same
    other options. It is kept where JAXLATENT_CACHE says; in ~/.cache/jaxlatent without that.
    """
    changes = arguments.pairs(settings)
    if cutoff is not None and psi is None:
        raise UserError("--cutoff goes with --psi")
    if directions is not None:
        check_space(directions, space)
    elif space is not None:
        raise UserError("--space is for DIRECTIONS; none are given")
    import jax

    from jaxlatent.sweeps import warm_render, warm_sweep

    place = jax.config.values["jax_compilation_cache_dir"]
    if not place or not jax.config.values["jax_enable_compilation_cache"]:
        raise UserError(
            "no programs are kept; set JAXLATENT_CACHE to a folder, or leave it out, and leave "
            "out JAX_COMPILATION_CACHE_DIR and JAX_ENABLE_COMPILATION_CACHE"
        )
    if "://" not in place:
        Path(place).mkdir(parents=True, exist_ok=True)
    if directions is None:
        generator = loaded(model, changes)
        codes, options = rendering(generator, range(16), None, None, label, psi, cutoff, noise)
        programs = warm_render(generator, codes, **options)
    else:
        generator, codes, found, options = sweeping(
            model, changes, directions, space, None, range(4), None, label, noise
        )
        amounts = arguments.strengths("-3:3:7")
        programs = warm_sweep(generator, codes, found, amounts, psi=psi, cutoff=cutoff, **options)
    for one in programs:
        click.echo(
            f"{one.name}: trace {one.trace:.2f} s, lower {one.lower:.2f} s, "
            f"compile {one.compile:.2f} s"
        )
    click.echo(f"kept in {place}")
